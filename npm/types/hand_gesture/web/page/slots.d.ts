export declare class Slots {
    #private;
    /**
     * @param {{hand?: number}[]} answers of one frame
     * @returns {number[]} a slot for each answer, from 0; its index where the answer has no hand ID
     */
    assign(answers: {
        hand?: number;
    }[]): number[];
}
