"""Charts → page, figure or JSON; nothing in here computes a finding."""
