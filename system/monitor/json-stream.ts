/** Longest value of a stream, in characters. */
const longest = 1 << 20;

/** Cuts a stream of JSON objects and arrays into single ones, however they are separated. */
export class JsonStream {
  private text = '';
  private at = 0;
  private depth = 0;
  private quote = '';
  private readonly decoder = new TextDecoder();

  /** Texts that end within `bytes`; what is no object comes as it is, for a parser to refuse. */
  *take(bytes: Uint8Array): Generator<string> {
    this.text += this.decoder.decode(bytes, { stream: true });
    while (this.at < this.text.length) {
      const end = this.step(this.text[this.at]!);
      this.at++;
      if (!end && this.at <= longest) continue;
      yield this.text.slice(0, this.at);
      this.cut();
    }
  }

  private cut(): void {
    this.text = this.text.slice(this.at);
    this.at = 0;
    this.depth = 0;
    this.quote = '';
  }

  /** Whether a value ends with this character. */
  private step(char: string): boolean {
    if (this.quote !== '') {
      if (char === '\\') this.at++;
      else if (char === this.quote) this.quote = '';
      return false;
    }
    if (char === '"') this.quote = char;
    else if (char === '{' || char === '[') this.depth++;
    else if (char === '}' || char === ']') return --this.depth <= 0;
    else if (this.depth === 0 && char === '\n') {
      if (this.text.slice(0, this.at).trim() !== '') return true;
      this.text = this.text.slice(this.at + 1);
      this.at = -1;
    }
    return false;
  }
}
