// A detector that attendet exported, run by onnxruntime-web.

import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";
import { readDescription } from "./description.js";
import { place, toInput } from "./letterbox.js";
import { readDetections, select, toImage } from "./suppression.js";

// Several threads need a page that is isolated from other origins.
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL("./node_modules/onnxruntime-web/dist/", import.meta.url).href;

export class Detector {
  /**
   * Open an exported file.
   * @param {ArrayBuffer} buffer
   */
  static async open(buffer) {
    const file = new Uint8Array(buffer);
    const description = readDescription(file);
    const session = await ort.InferenceSession.create(file, { executionProviders: ["wasm"] });
    return new Detector(session, description);
  }

  constructor(session, description) {
    this.session = session;
    this.description = description;
  }

  /** Smallest score that can be asked for: that of the non-maximum suppression in the file, or 0. */
  get lowestConfidence() {
    return this.description.selection?.confidence ?? 0;
  }

  /** Thresholds that are used unless others are given, see `select`. */
  get defaults() {
    const { prediction_iou: iou, max_detections: most } = this.description.suppression;
    return { confidence: 0.25, iou, most };
  }

  /**
   * Return the detections of an image in its pixels, the most confident first.
   * @param {ImageData} image
   * @param {object} thresholds  See `select`.
   */
  async detect(image, thresholds = this.defaults) {
    const { names, selection, shape } = this.description;
    const placement = place(image, this.description);
    const batch = shape.batch ?? 1;
    const { width, height } = placement.canvas;
    const images = new ort.Tensor("float32", toInput(placement.canvas, batch), [batch, 3, height, width]);
    const name = selection ? "detections" : "predictions";
    const { [name]: output } = await this.session.run({ images }, [name]);
    const rows = output.data.subarray(0, output.data.length / batch);
    const found = selection
      ? readDetections(rows, thresholds.confidence)
      : select(rows, 4 + names.length, thresholds);
    return toImage(found, placement, image, names);
  }
}
