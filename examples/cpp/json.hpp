// A reader of JSON for the description in an exported file, and the writing of texts.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace json {

// A value: a number, a text, a list, an object, true, false, or null.
struct Value {
    enum class Kind { null, boolean, number, text, list, object } kind = Kind::null;
    bool boolean = false;
    double number = 0;
    std::string text;
    std::vector<Value> list;
    std::map<std::string, Value> object;

    bool is_null() const { return kind == Kind::null; }

    const Value& at(const std::string& key) const {
        static const Value missing;
        const auto found = object.find(key);
        return found == object.end() ? missing : found->second;
    }

    double as_number(const std::string& name) const {
        if (kind != Kind::number) throw std::runtime_error("the description is damaged: `" + name + "` must be a number");
        return number;
    }
};

class Reader {
  public:
    explicit Reader(const std::string& text) : text_(text) {}

    Value read() {
        const Value value = read_value(0);
        skip_spaces();
        if (place_ != text_.size()) fail();
        return value;
    }

  private:
    static constexpr int kMostLevels = 64;

    [[noreturn]] void fail() const {
        throw std::runtime_error("the description is not JSON, at character " + std::to_string(place_ + 1));
    }

    void skip_spaces() {
        while (place_ < text_.size() && std::string(" \t\r\n").find(text_[place_]) != std::string::npos) ++place_;
    }

    bool take(const std::string& word) {
        if (text_.compare(place_, word.size(), word) != 0) return false;
        place_ += word.size();
        return true;
    }

    Value read_value(int level) {
        if (level > kMostLevels) fail();
        skip_spaces();
        Value value;
        if (take("null")) return value;
        if (take("true") || take("false")) {
            value.kind = Value::Kind::boolean;
            value.boolean = text_[place_ - 2] == 'u';
        } else if (take("\"")) {
            value.kind = Value::Kind::text;
            value.text = read_text();
        } else if (take("[")) {
            value.kind = Value::Kind::list;
            for (skip_spaces(); !take("]"); skip_spaces()) {
                if (!value.list.empty() && !take(",")) fail();
                value.list.push_back(read_value(level + 1));
            }
        } else if (take("{")) {
            value.kind = Value::Kind::object;
            for (skip_spaces(); !take("}"); skip_spaces()) {
                if (!value.object.empty() && !take(",")) fail();
                skip_spaces();
                if (!take("\"")) fail();
                const std::string key = read_text();
                skip_spaces();
                if (!take(":")) fail();
                value.object[key] = read_value(level + 1);
            }
        } else {
            const char* start = text_.c_str() + place_;
            char* end = nullptr;
            value.kind = Value::Kind::number;
            value.number = std::strtod(start, &end);
            if (end == start) fail();
            place_ += static_cast<std::size_t>(end - start);
        }
        return value;
    }

    std::string read_text() {
        std::string result;
        while (place_ < text_.size()) {
            const char letter = text_[place_++];
            if (letter == '"') return result;
            if (letter != '\\') {
                result += letter;
                continue;
            }
            const char escaped = place_ < text_.size() ? text_[place_++] : '\0';
            static const std::string from = "\"\\/bfnrt", to = "\"\\/\b\f\n\r\t";
            if (escaped == 'u') {
                append_utf8(result, read_code());
            } else if (from.find(escaped) != std::string::npos) {
                result += to[from.find(escaped)];
            } else {
                fail();
            }
        }
        fail();
    }

    // Read the digits of one \uXXXX, or of two that form one character.
    unsigned long read_code() {
        const unsigned long first = read_digits();
        if (first < 0xD800 || first > 0xDBFF) return first;
        if (!take("\\u")) fail();
        return 0x10000 + ((first - 0xD800) << 10) + (read_digits() - 0xDC00);
    }

    unsigned long read_digits() {
        if (place_ + 4 > text_.size()) fail();
        const unsigned long code = std::stoul(text_.substr(place_, 4), nullptr, 16);
        place_ += 4;
        return code;
    }

    static void append_utf8(std::string& text, unsigned long code) {
        if (code < 0x80) {
            text += static_cast<char>(code);
            return;
        }
        const int following = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
        text += static_cast<char>((0xF00 >> following & 0xFF) | code >> 6 * following);
        for (int number = following - 1; number >= 0; --number) {
            text += static_cast<char>(0x80 | (code >> 6 * number & 0x3F));
        }
    }

    const std::string& text_;
    std::size_t place_ = 0;
};

// Return a text in quotes, with control characters escaped.
inline std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char letter : text) {
        if (letter == '"' || letter == '\\') {
            result += '\\';
            result += letter;
        } else if (static_cast<unsigned char>(letter) < 0x20) {
            char escaped[7];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", letter);
            result += escaped;
        } else {
            result += letter;
        }
    }
    return result + "\"";
}

}  // namespace json
