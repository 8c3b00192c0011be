export type Camera = {
    /**
     * of the device
     */
    id: string;
    /**
     * whether to show it mirrored, as is usual for a front camera
     */
    isMirrored: boolean;
};
/**
 * @typedef {object} Camera
 * @property {string} id of the device
 * @property {boolean} isMirrored whether to show it mirrored, as is usual for a front camera
 */
/**
 * @param {HTMLVideoElement} video plays the camera
 * @param {object} options
 * @param {string} options.id device ID, empty for the front camera
 * @param {AbortSignal} options.signal stops the camera, also while the permission prompt is open
 * @param {() => void} options.onEnd the camera was unplugged or its permission revoked
 * @returns {Promise<Camera>}
 * @throws {Problem}
 */
export declare function openCamera(video: HTMLVideoElement, { id, signal, onEnd }: {
    id: string;
    signal: AbortSignal;
    onEnd: () => void;
}): Promise<Camera>;
/**
 * @param {HTMLVideoElement} video plays the media
 * @param {Blob | MediaStream} media a video file, or a stream whose tracks the caller stops
 * @param {AbortSignal} signal stops it
 * @throws {Problem}
 */
export declare function openMedia(video: HTMLVideoElement, media: Blob | MediaStream, signal: AbortSignal): Promise<void>;
/** @returns {Promise<{id: string, name: string}[]>} with names once the camera was allowed */
export declare function listCameras(): Promise<{
    id: string;
    name: string;
}[]>;
/**
 * Calls back with the newest frame of a video while the page is visible, never concurrently.
 *
 * @param {HTMLVideoElement} video
 * @param {object} options
 * @param {AbortSignal} options.signal stops it
 * @param {(time: number) => Promise<void>} options.onPicture receives the time in milliseconds
 * @param {(error: unknown) => void} options.onError receives what onPicture threw
 */
export declare function watch(video: HTMLVideoElement, { signal, onPicture, onError }: {
    signal: AbortSignal;
    onPicture: (time: number) => Promise<void>;
    onError: (error: unknown) => void;
}): void;
