// The description in the metadata of an ONNX file, which onnxruntime-web does not give access to.

const METADATA_KEY = "attendet";
const METADATA_FIELD = 14; // metadata_props of ONNX's ModelProto
const [KEY_FIELD, VALUE_FIELD] = [1, 2];
const [VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES] = [0, 1, 2, 5];

/**
 * Return the description of the detector in an ONNX file.
 * @param {Uint8Array} file
 */
export function readDescription(file) {
  const decoder = new TextDecoder();
  for (const [field, entry] of fields(file)) {
    if (field !== METADATA_FIELD) continue;
    const parts = new Map(fields(entry));
    if (decoder.decode(parts.get(KEY_FIELD)) !== METADATA_KEY) continue;
    const description = JSON.parse(decoder.decode(parts.get(VALUE_FIELD)));
    if (description.kind !== "detector") throw new Error("the file must be a detector");
    return description;
  }
  throw new Error("the file has no description of attendet; write it with `attendet export`");
}

/** Yield the fields of a message of protocol buffers that contain bytes: [number, bytes]. */
function* fields(message) {
  let place = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 1; place < message.length; shift *= 128) {
      const byte = message[place++];
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
    throw new Error("the file is not an ONNX file");
  };
  while (place < message.length) {
    const tag = varint();
    const [field, kind] = [Math.floor(tag / 8), tag % 8];
    if (kind === VARINT) varint();
    else if (kind === EIGHT_BYTES) place += 8;
    else if (kind === FOUR_BYTES) place += 4;
    else if (kind === BYTES) {
      const length = varint();
      if (place + length > message.length) throw new Error("the file is not an ONNX file");
      yield [field, message.subarray(place, place + length)];
      place += length;
    } else throw new Error("the file is not an ONNX file");
  }
}
