const BAR_WIDTH = 40;

/** A bar that is redrawn in place on a terminal, and nothing elsewhere. */
export class ProgressBar {
  readonly #stream: NodeJS.WriteStream;
  readonly #title: string;
  #shown = -1;

  /** `title` says behind the bar what is done. */
  constructor(stream: NodeJS.WriteStream, title = "") {
    this.#stream = stream;
    this.#title = title === "" ? "" : ` ${title}`;
  }

  show(share: number): void {
    const percent = Math.floor(share * 100);
    if (!this.#stream.isTTY || percent === this.#shown) return;
    this.#shown = percent;
    const full = Math.round(share * BAR_WIDTH);
    const bar = "█".repeat(full) + "░".repeat(BAR_WIDTH - full);
    this.#stream.write(`\r${bar} ${String(percent).padStart(3)}%${this.#title}`);
  }

  clear(): void {
    if (this.#stream.isTTY && this.#shown >= 0) this.#stream.write("\r\x1b[K");
    this.#shown = -1;
  }
}
