// Detect objects in a PPM image with a file that `attendet export` wrote, and print one line of JSON per detection.
//
//     detect best.onnx photo.ppm [CONFIDENCE [IOU]]
//
// The file describes itself: class names, image size, strides, and the rule for canvases are in its metadata.

#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <onnxruntime_cxx_api.h>

#include "json.hpp"
#include "letterbox.hpp"
#include "suppression.hpp"

namespace {

constexpr float kConfidence = 0.25f;

// The properties of the file that are needed to run it.
struct Description {
    std::vector<std::string> names;
    Rule rule{};
    std::size_t batch = 1;
    bool has_selection = false;
    float confidence = kConfidence, iou = 0;
    std::size_t most_detections = 0;
};

Description read_description(const Ort::Session& session) {
    Ort::AllocatorWithDefaultOptions allocator;
    const auto text = session.GetModelMetadata().LookupCustomMetadataMapAllocated("attendet", allocator);
    if (!text) throw std::runtime_error("the file has no description of attendet; write it with `attendet export`");
    const std::string copied = text.get();
    const json::Value values = json::Reader(copied).read();
    if (values.at("kind").text != "detector") throw std::runtime_error("the file must be a detector");
    Description description;
    for (const json::Value& name : values.at("names").list) description.names.push_back(name.text);
    double stride = 0;
    for (const json::Value& each : values.at("strides").list) stride = std::max(stride, each.as_number("strides"));
    const json::Value& shape = values.at("shape");
    const auto optional = [&shape](const std::string& name) {
        return shape.at(name).is_null() ? 0 : static_cast<int>(shape.at(name).as_number(name));
    };
    const json::Value& letterbox = values.at("letterbox");
    description.rule = {static_cast<int>(values.at("imgsz").as_number("imgsz")), static_cast<int>(stride),
                        static_cast<int>(letterbox.at("gray").as_number("gray")), optional("height"),
                        optional("width"), letterbox.at("border").as_number("border")};
    description.batch = static_cast<std::size_t>(std::max(1, optional("batch")));
    const json::Value& suppression = values.at("suppression");
    description.iou = static_cast<float>(suppression.at("prediction_iou").as_number("prediction_iou"));
    const double most = suppression.at("max_detections").as_number("max_detections");
    description.most_detections = static_cast<std::size_t>(std::max(1.0, most));
    description.has_selection = !values.at("selection").is_null();
    if (description.has_selection) {
        description.confidence = static_cast<float>(values.at("selection").at("confidence").as_number("confidence"));
    }
    if (description.names.empty() || description.rule.imgsz < 1 || description.rule.stride < 1) {
        throw std::runtime_error("the description is damaged: names, imgsz, and strides must not be empty");
    }
    return description;
}

// Return the canvas as the input of the network, (batch, 3, height, width) in 0-1; further images are zero.
std::vector<float> to_input(const Image& canvas, std::size_t batch) {
    const std::size_t area = static_cast<std::size_t>(canvas.height) * canvas.width;
    std::vector<float> input(batch * 3 * area);
    for (std::size_t i = 0; i < 3 * area; ++i) input[i % 3 * area + i / 3] = static_cast<float>(canvas.bytes[i]) / 255.0f;
    return input;
}

std::vector<Detection> detect(Ort::Session& session, const Description& description, const Placement& placed,
                              float confidence, float iou) {
    std::vector<float> input = to_input(placed.canvas, description.batch);
    const std::vector<std::int64_t> shape{static_cast<std::int64_t>(description.batch), 3, placed.canvas.height,
                                          placed.canvas.width};
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const Ort::Value images =
        Ort::Value::CreateTensor<float>(memory, input.data(), input.size(), shape.data(), shape.size());
    const char* input_name = "images";
    const char* output_name = description.has_selection ? "detections" : "predictions";
    const auto outputs = session.Run(Ort::RunOptions{}, &input_name, &images, 1, &output_name, 1);
    const auto sizes = outputs[0].GetTensorTypeAndShapeInfo().GetShape();
    const std::size_t columns = description.has_selection ? 6 : 4 + description.names.size();
    if (sizes.size() != 3 || sizes[2] != static_cast<std::int64_t>(columns)) {
        throw std::runtime_error("the output does not fit the description");
    }
    const float* rows = outputs[0].GetTensorData<float>();
    const auto count = static_cast<std::size_t>(sizes[1]);
    if (!description.has_selection) return select(rows, count, columns, confidence, iou, description.most_detections);
    std::vector<Detection> found;
    for (const float* row = rows; row < rows + count * columns; row += columns) {
        const int class_id = static_cast<int>(row[5]);
        if (row[4] > std::max(confidence, 0.0f) && class_id >= 0 && class_id < static_cast<int>(description.names.size())) {
            found.push_back({row[0], row[1], row[2], row[3], row[4], class_id});
        }
    }
    return found;
}

// Print the detections whose boxes have an area inside of the image, in its pixels.
void print(const std::vector<Detection>& detections, const Placement& placed, const Image& image,
           const std::vector<std::string>& names) {
    const double x_scale = static_cast<double>(placed.scaled_width) / image.width;
    const double y_scale = static_cast<double>(placed.scaled_height) / image.height;
    for (const Detection& each : detections) {
        const double x1 = std::clamp((each.x1 - placed.left) / x_scale, 0.0, static_cast<double>(image.width));
        const double y1 = std::clamp((each.y1 - placed.top) / y_scale, 0.0, static_cast<double>(image.height));
        const double x2 = std::clamp((each.x2 - placed.left) / x_scale, 0.0, static_cast<double>(image.width));
        const double y2 = std::clamp((each.y2 - placed.top) / y_scale, 0.0, static_cast<double>(image.height));
        if (x2 <= x1 || y2 <= y1) continue;
        std::printf("{\"class_id\": %d, \"name\": %s, \"confidence\": %.6f, \"box\": [%.3f, %.3f, %.3f, %.3f]}\n",
                    each.class_id, json::quoted(names[each.class_id]).c_str(), each.confidence, x1, y1, x2, y2);
    }
}

// Return a number from 0 to 1, or the default if the argument is missing.
float fraction(int count, char** arguments, int position, float otherwise) {
    if (count <= position) return otherwise;
    char* end = nullptr;
    const float value = std::strtof(arguments[position], &end);
    if (end == arguments[position] || *end != '\0' || !(value >= 0 && value <= 1)) {
        throw std::runtime_error(std::string("CONFIDENCE and IOU must be numbers from 0 to 1, got ") + arguments[position]);
    }
    return value;
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 3 || count > 5) {
        std::cerr << "usage: detect FILE.onnx IMAGE.ppm [CONFIDENCE [IOU]]\n";
        return 2;
    }
    try {
        const Ort::Env environment(ORT_LOGGING_LEVEL_ERROR, "detect");
        const std::filesystem::path file(arguments[1]);
        Ort::Session session(environment, file.c_str(), Ort::SessionOptions{});
        const Description description = read_description(session);
        if (description.has_selection && count > 4) {
            throw std::runtime_error("IOU must be left out, because the file contains its non-maximum suppression");
        }
        const float confidence = fraction(count, arguments, 3, description.confidence);
        const float iou = fraction(count, arguments, 4, description.iou);
        if (description.has_selection && confidence < description.confidence) {
            throw std::runtime_error("CONFIDENCE must be at least " + std::to_string(description.confidence) +
                                     ", as in the file, which contains its non-maximum suppression");
        }
        const Image image = read_ppm(arguments[2]);
        const Placement placed = place(image, description.rule);
        print(detect(session, description, placed, confidence, iou), placed, image, description.names);
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 2;
    }
    return 0;
}
