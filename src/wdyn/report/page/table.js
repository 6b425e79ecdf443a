// Rows as an HTML table: a chart of its own, and the numbers behind every other chart.

const PAPER_COLUMNS = 11; // of a table that paper is wide enough for

function tableView(body) {
  let data = null;
  return {
    show(chart) {
      const rows = Array.from({length: chart.columns[0]?.values.length || 0}, (_, i) => chart.columns.map((column) => column.values[i]));
      data = {headings: chart.columns.map((column) => column.heading), rows, count: chart.count, note: ""};
      body.replaceChildren(tableElement(data));
    },
    update() {},
    table: null,
    csv: () => data,
  };
}

function tableElement({headings, rows, note, count = rows.length}) {
  const broad = headings.length > PAPER_COLUMNS, numeric = headings.map((_, at) => rows.every((row) => row[at] === null || typeof row[at] === "number"));
  const cell = (value, at) => {
    const text = valueText(value, headings[at]);
    const made = element("td", {...(numeric[at] && {class: "number"}), ...(broad && {"data-heading": visible(headings[at])})});
    made.append(typeof value === "string" ? nameElement(text) : text);
    return made;
  };
  const head = headings.map((heading, at) => element("th", numeric[at] ? {scope: "col", class: "number"} : {scope: "col"}, nameElement(heading)));
  const lines = rows.slice(0, TABLE_ROWS).map((row) => element("tr", {}, ...row.map(cell)));
  if (!rows.length) return element("div", {}, element("p", {class: "empty"}, "There are no rows to list."));
  const table = element("table", broad ? {class: "broad"} : {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...lines));
  const cut = count > TABLE_ROWS ? `The first ${TABLE_ROWS} of ${wholeNumber(count)} rows; all of them with --report json.` : "";
  return element("div", {}, element("p", {class: "where"}, [note, cut].filter(Boolean).join(" ")), element("div", {class: "scroll", tabindex: "0"}, table));
}
