/** Notices that nobody needs the daemon. */

/** How often to look, where the span is not shorter: milliseconds. */
const look = 30_000;

export interface IdleOptions {
  /** Without use for so long, the daemon is idle: milliseconds; 0: never. Asked anew at each look. */
  readonly span: () => number;
  /** Milliseconds since the last use; 0 while it is used. */
  readonly unused: () => number;
  /** It is needed although nobody asks: then the span begins anew. */
  readonly busy: () => boolean;
  readonly onIdle: (span: number) => void;
}

/** Calls back once. @returns what ends that */
export function onIdle({ span, unused, busy, onIdle: callback }: IdleOptions): () => void {
  let timer: NodeJS.Timeout;
  let needed = performance.now();
  const arm = (): void => {
    const wait = span();
    timer = setTimeout(check, wait === 0 ? look : Math.min(look, wait / 4));
    timer.unref();
  };
  const check = (): void => {
    const now = performance.now();
    if (busy()) needed = now;
    const wait = span();
    if (wait > 0 && Math.min(unused(), now - needed) >= wait) callback(wait);
    else arm();
  };
  arm();
  return () => clearTimeout(timer);
}
