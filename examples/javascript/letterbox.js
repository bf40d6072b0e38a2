// Images scaled and centered on gray canvases as by attendet, bit for bit. Images are {width, height, data}, with four
// bytes per pixel, as those of a canvas of the browser.

/**
 * Place an image on the canvas that a file takes.
 * @returns {{canvas: object, width: number, height: number, top: number, left: number}}
 *     The canvas, and the size and position of the image on it.
 */
export function place(image, description) {
  const { height: canvasHeight, width: canvasWidth } = description.shape;
  const longer = Math.max(image.height, image.width);
  const target = canvasHeight
    ? Math.max(
        1,
        Math.min(
          Math.floor((canvasHeight * longer) / image.height),
          Math.floor((canvasWidth * longer) / image.width),
        ),
      )
    : description.imgsz;
  const height = Math.max(1, roundHalfToEven(image.height * (target / longer)));
  const width = Math.max(1, roundHalfToEven(image.width * (target / longer)));
  const stride = Math.max(...description.strides);
  const bordered = (side) => Math.ceil(side / stride + description.letterbox.border) * stride;
  const canvas = emptyImage(canvasWidth ?? bordered(width), canvasHeight ?? bordered(height));
  canvas.data.fill(description.letterbox.gray);
  const scaled =
    target === longer ? image : target > longer ? interpolate(image, width, height) : average(image, width, height);
  const top = Math.floor((canvas.height - height) / 2);
  const left = Math.floor((canvas.width - width) / 2);
  for (let y = 0; y < height; y++) {
    const row = scaled.data.subarray(y * width * 4, (y + 1) * width * 4);
    canvas.data.set(row, ((top + y) * canvas.width + left) * 4);
  }
  return { canvas, width, height, top, left };
}

/** Return a canvas as the input of the network: (batch, 3, height, width) in 0-1; further images are zero. */
export function toInput(canvas, batch) {
  const area = canvas.width * canvas.height;
  const values = new Float32Array(batch * 3 * area);
  for (let i = 0; i < area; i++) {
    for (let channel = 0; channel < 3; channel++) values[channel * area + i] = canvas.data[4 * i + channel] / 255;
  }
  return values;
}

/** Shrink an image; each pixel of the result is the mean over the area that it covers. */
export function average(image, width, height) {
  if (image.width % width === 0 && image.height % height === 0) return averageBlocks(image, width, height);
  const [xParts, yParts] = [areaParts(image.width, width), areaParts(image.height, height)];
  const result = emptyImage(width, height);
  const [narrow, sums] = [new Float32Array(3 * width), new Float32Array(3 * width)];
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (const [row, rowWeight] of yParts[y]) {
      narrow.fill(0);
      for (let x = 0; x < width; x++) {
        for (const [column, weight] of xParts[x]) {
          const pixel = (row * image.width + column) * 4;
          for (let channel = 0; channel < 3; channel++) {
            // A Float32Array rounds the sum; the product must be rounded before.
            narrow[3 * x + channel] += Math.fround(image.data[pixel + channel] * weight);
          }
        }
      }
      for (let i = 0; i < sums.length; i++) sums[i] += Math.fround(narrow[i] * rowWeight);
    }
    for (let i = 0; i < sums.length; i++) {
      result.data[(y * width + Math.floor(i / 3)) * 4 + (i % 3)] = roundHalfToEven(sums[i]);
    }
  }
  return result;
}

/** Enlarge an image by bilinear interpolation with integers. */
export function interpolate(image, width, height) {
  const [across, along] = [neighbors(image.width, width, true), neighbors(image.height, height, false)];
  const result = emptyImage(width, height);
  for (let y = 0; y < height; y++) {
    const [above, below, aboveWeight, belowWeight] = along[y];
    for (let x = 0; x < width; x++) {
      const [left, right, leftWeight, rightWeight] = across[x];
      for (let channel = 0; channel < 3; channel++) {
        const at = (row, column) => image.data[(row * image.width + column) * 4 + channel];
        const wide = (row) => (at(row, left) * leftWeight + at(row, right) * rightWeight) >> 4;
        const total = ((wide(above) * aboveWeight) >> 16) + ((wide(below) * belowWeight) >> 16);
        result.data[(y * width + x) * 4 + channel] = (total + 2) >> 2;
      }
    }
  }
  return result;
}

function averageBlocks(image, width, height) {
  const [columns, rows] = [image.width / width, image.height / height];
  const result = emptyImage(width, height);
  const part = Math.fround(1 / (columns * rows));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let i = 0; i < rows * columns; i++) {
          const [row, column] = [y * rows + Math.floor(i / columns), x * columns + (i % columns)];
          sum += image.data[(row * image.width + column) * 4 + channel];
        }
        const roundsUp = rows === 2 && columns === 2;
        const mean = roundsUp ? (sum + 2) >> 2 : roundHalfToEven(Math.fround(sum * part));
        result.data[(y * width + x) * 4 + channel] = mean;
      }
    }
  }
  return result;
}

/** Return, for each pixel of the result, the pixels of the image that it covers, and their weights. */
function areaParts(source, target) {
  const scale = 1 / (target / source);
  return Array.from({ length: target }, (_, number) => {
    const start = number * scale;
    const end = start + scale;
    const area = Math.min(scale, source - start);
    const last = Math.min(Math.floor(end), source - 1);
    const first = Math.min(Math.ceil(start), last);
    const parts = [];
    if (first - start > 1e-3) parts.push([first - 1, Math.fround((first - start) / area)]);
    for (let whole = first; whole < last; whole++) parts.push([whole, Math.fround(1 / area)]);
    if (end - last > 1e-3) parts.push([last, Math.fround(Math.min(end - last, 1, area) / area)]);
    return parts;
  });
}

/** Return, for each pixel of the result, the two pixels that it is between, and their weights (0 to 2,048). */
function neighbors(source, target, isHorizontal) {
  const scale = 1 / (target / source);
  const clamp = (position) => Math.min(Math.max(position, 0), source - 1);
  return Array.from({ length: target }, (_, number) => {
    const position = Math.fround((number + 0.5) * scale - 0.5);
    const before = Math.floor(position);
    const isOutside = before < 0 || before >= source - 1;
    const fraction = isHorizontal && isOutside ? 0 : Math.fround(position - before);
    const beforeWeight = roundHalfToEven(Math.fround(Math.fround(1 - fraction) * 2048));
    return [clamp(before), clamp(before + 1), beforeWeight, roundHalfToEven(Math.fround(fraction * 2048))];
  });
}

function emptyImage(width, height) {
  return { width, height, data: new Uint8ClampedArray(width * height * 4).fill(255) };
}

function roundHalfToEven(value) {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
