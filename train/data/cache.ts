// What was made last, as far as it fits into so many bytes.

/** Remembers what `make` gives; the least recently used goes first. What fails is not remembered. */
export function cached<V>(
  make: (key: number) => Promise<V>,
  bytesOf: (value: V) => number,
  limit: number,
): (key: number) => Promise<V> {
  // A Map keeps the order of insertion: the first entry is the oldest.
  const entries = new Map<number, { readonly value: Promise<V>; bytes: number }>();
  let total = 0;

  const drop = (key: number) => {
    total -= entries.get(key)!.bytes;
    entries.delete(key);
  };
  return (key) => {
    const known = entries.get(key);
    if (known) {
      entries.delete(key);
      entries.set(key, known);
      return known.value;
    }
    const entry = { value: make(key), bytes: 0 };
    entries.set(key, entry);
    entry.value.then(
      (value) => {
        if (entries.get(key) !== entry) return;
        entry.bytes = bytesOf(value);
        total += entry.bytes;
        for (const oldest of entries.keys()) {
          if (total <= limit) break;
          drop(oldest);
        }
      },
      () => entries.get(key) === entry && drop(key),
    );
    return entry.value;
  };
}
