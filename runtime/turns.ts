// Work on a device that must not overlap: each piece begins when the one before it has ended, whatever became of that.

export type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

export function inTurn(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => {}); // whoever asked for it sees the error
    return result;
  };
}
