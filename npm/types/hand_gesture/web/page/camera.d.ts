export type Camera = {
    /**
     * of the device
     */
    id: string;
    /**
     * shown as in a mirror, as people expect of a camera that faces them
     */
    isMirrored: boolean;
};
/**
 * @typedef {object} Camera
 * @property {string} id of the device
 * @property {boolean} isMirrored shown as in a mirror, as people expect of a camera that faces them
 */
/**
 * @param {HTMLVideoElement} video shows the picture from then on
 * @param {object} options
 * @param {string} options.id of the device, empty for the one that faces the person
 * @param {AbortSignal} options.signal ends it, also while the person has not yet allowed the camera
 * @param {() => void} options.onEnd the camera was unplugged, or taken away by the person
 * @returns {Promise<Camera>}
 * @throws {Problem}
 */
export declare function openCamera(video: HTMLVideoElement, { id, signal, onEnd }: {
    id: string;
    signal: AbortSignal;
    onEnd: () => void;
}): Promise<Camera>;
/**
 * @param {HTMLVideoElement} video shows the pictures from then on
 * @param {Blob | MediaStream} media a film, or a stream, whose tracks stay with whoever gave it
 * @param {AbortSignal} signal ends it
 * @throws {Problem}
 */
export declare function openMedia(video: HTMLVideoElement, media: Blob | MediaStream, signal: AbortSignal): Promise<void>;
/** @returns {Promise<{id: string, name: string}[]>} the cameras of this device, once one of them was allowed */
export declare function listCameras(): Promise<{
    id: string;
    name: string;
}[]>;
/**
 * Calls back for the newest picture of a video, one after the other, while the page can be seen.
 *
 * @param {HTMLVideoElement} video
 * @param {object} options
 * @param {AbortSignal} options.signal ends it
 * @param {(time: number) => Promise<void>} options.onPicture with the time in milliseconds
 * @param {(error: unknown) => void} options.onError what onPicture was rejected with
 */
export declare function watch(video: HTMLVideoElement, { signal, onPicture, onError }: {
    signal: AbortSignal;
    onPicture: (time: number) => Promise<void>;
    onError: (error: unknown) => void;
}): void;
