// The way back from report/codec.py: text in the page -> bytes -> typed arrays.

const TYPES = {uint8: Uint8Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array, float64: Float64Array};

async function inflate(id) {
  const text = document.getElementById(id).textContent;
  const stream = new Blob([fromBase64(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

function readBlock(store, ref) {
  const Type = TYPES[ref.type], width = Type.BYTES_PER_ELEMENT;
  const count = ref.shape.reduce((product, size) => product * size, 1);
  const bytes = new Uint8Array(count * width);
  for (let b = 0; b < width; b++) {
    for (let i = 0, from = ref.at + b * count; i < count; i++) bytes[i * width + b] = store[from + i];
  }
  const values = new Type(bytes.buffer);
  if (ref.delta) sumDifferences(values, count / ref.shape[0]);
  return values;
}

function sumDifferences(values, row) {
  for (let i = 0; i < values.length; i++) {
    const difference = (values[i] >>> 1) ^ -(values[i] & 1);
    values[i] = difference + (i >= row ? values[i - row] : 0); // typed arrays wrap around, like the encoder
  }
}

// code -> value; the largest code stands for "not finite"
function valueOf(code, missing, low, high) {
  return code === missing ? NaN : low + (code * (high - low)) / (missing - 1);
}
