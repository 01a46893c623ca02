/** What a network card is plugged into. Frames are Ethernet's, without a checksum. */
export interface NetworkLink {
  /** Takes a frame of the guest; it may be kept. */
  send(frame: Uint8Array): void;
  /** Sets who takes frames for the guest; false: there is no room, `ready` will be called. */
  onFrame(receive: (frame: Uint8Array) => boolean): void;
  /** The card has room again. */
  ready(): void;
}
