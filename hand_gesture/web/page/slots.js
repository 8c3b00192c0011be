// Colours and places for hands, each the same for as long as the hand is there.

const SLOTS = 8; // most hands of a frame

export class Slots {
  /** @type {Map<number, number>} */
  #ofHands = new Map();

  /**
   * @param {{hand?: number}[]} answers of one frame
   * @returns {number[]} a slot for each, from 0 on; its place in the frame where the answer does not say which hand it is
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
