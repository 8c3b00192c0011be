export type Point = import("./stream.js").Point;
/**
 * @param {HTMLCanvasElement} canvas
 * @param {Point[][]} hands normalized to 0..1
 * @param {object} options
 * @param {[number, number]} options.size of the picture in pixels
 * @param {string[]} options.colors one for each hand
 * @param {(context: CanvasRenderingContext2D, hand: Point[]) => void} [options.under] called before each skeleton
 */
export declare function drawHands(canvas: HTMLCanvasElement, hands: Point[][], { size: [width, height], colors, under }: {
    size: [number, number];
    colors: string[];
    under?: (context: CanvasRenderingContext2D, hand: Point[]) => void;
}): void;
