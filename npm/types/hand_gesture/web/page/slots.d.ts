export declare class Slots {
    #private;
    /**
     * @param {{hand?: number}[]} answers of one frame
     * @returns {number[]} a slot for each, from 0 on; its place in the frame where the answer does not say which hand it is
     */
    assign(answers: {
        hand?: number;
    }[]): number[];
}
