// Gives each tracked hand a slot, which keeps its colour and position stable from frame to frame.

const SLOTS = 8; // the service's MAX_HANDS_IN_FRAME

export class Slots {
  /** @type {Map<number, number>} */
  #ofHands = new Map();

  /**
   * @param {{hand?: number}[]} answers of one frame
   * @returns {number[]} a slot for each answer, from 0; its index where the answer has no hand ID
   */
  assign(answers) {
    const taken = new Set(answers.map(({ hand }) => this.#ofHands.get(hand ?? -1)));
    return answers.map(({ hand }, index) => {
      if (hand === undefined) return index;
      let slot = this.#ofHands.get(hand);
      if (slot === undefined) {
        slot = [...Array(SLOTS).keys()].find((free) => !taken.has(free)) ?? 0;
        for (const [other, its] of this.#ofHands) if (its === slot) this.#ofHands.delete(other);
        this.#ofHands.set(hand, slot);
        taken.add(slot);
      }
      return slot;
    });
  }
}
