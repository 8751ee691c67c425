// Quantities, names and tables as people read them.

/** `0.8 s`, `42 s`, `3 min 20 s`, `1 h 05 min` */
export function printDuration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${pad(whole % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
}

/** `just now`, `5 minutes ago`, `3 days ago` */
export function printAge(seconds: number): string {
  const units = [
    [86_400, 'day'],
    [3600, 'hour'],
    [60, 'minute'],
  ] as const;
  const unit = units.find(([length]) => seconds >= length);
  return unit ? `${printItems(Math.floor(seconds / unit[0]), unit[1])} ago` : 'just now';
}

/** `1 image`, `2 images` */
export function printItems(count: number, item: string): string {
  return `${count.toLocaleString('en-US')} ${item}${count === 1 ? '' : 's'}`;
}

/** Two columns, the second aligned. */
export function printTable(rows: readonly (readonly [label: string, value: string])[]): string {
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `${printable(`${label.padEnd(width)}  ${value}`)}\n`).join('');
}

/** Lines of cells under one another: columns of words to the left, of numbers to the right. */
export function alignColumns(
  rows: readonly (readonly string[])[],
  isLeft: (column: number) => boolean,
): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const last = widths.length - 1;
  const align = (cell: string, column: number): string => {
    if (!isLeft(column)) return cell.padStart(widths[column]!);
    return column === last ? cell : cell.padEnd(widths[column]!);
  };
  return rows.map((row) => row.map(align).join('  '));
}

/** Names from files and folders may hold bytes that command a terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}
