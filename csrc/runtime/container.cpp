// Reads and writes the packed container; every length is checked before it is followed.
#include "container.h"

#include <cstring>

namespace rarefy {
namespace {

constexpr int64_t kHeader = 64, kEntry = 32, kKind = 16, kAlignment = 64;
constexpr int64_t kMostSections = 1 << 20;
constexpr int64_t kMostBytes = int64_t(1) << 48;

int64_t aligned(int64_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

uint64_t number_at(const uint8_t* bytes, int width) {
  uint64_t value = 0;
  for (int i = width - 1; i >= 0; --i) value = value << 8 | bytes[i];
  return value;
}

void put_number(uint8_t* bytes, int width, uint64_t value) {
  for (int i = 0; i < width; ++i) bytes[i] = static_cast<uint8_t>(value >> 8 * i);
}

bool all_zero(const uint8_t* bytes, int64_t size) {
  for (int64_t i = 0; i < size; ++i) {
    if (bytes[i]) return false;
  }
  return true;
}

bool name_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

// Length of a valid kind in a field of 16 bytes, else 0.
int64_t kind_length(const uint8_t* field) {
  int64_t length = 0;
  while (length < kKind && name_letter(static_cast<char>(field[length]))) ++length;
  return length < kKind && all_zero(field + length, kKind - length) ? length : 0;
}

std::string section_text(int64_t i) { return "section " + std::to_string(i); }

// The header's count of sections, or -1 and one line.
int64_t read_header(const uint8_t* bytes, int64_t size, std::string& error) {
  if (!bytes || size < kHeader || std::memcmp(bytes, "RFPK", 4) != 0) {
    error = "these bytes are no packed container";
  } else if (number_at(bytes + 4, 4) != 1) {
    error = "the packed container is of version " + std::to_string(number_at(bytes + 4, 4)) +
            ", and this library reads version 1";
  } else if (number_at(bytes + 16, 8) != static_cast<uint64_t>(size)) {
    error = "the packed container says it has " + std::to_string(number_at(bytes + 16, 8)) +
            " bytes, and has " + std::to_string(size);
  } else if (!all_zero(bytes + 12, 4) || !all_zero(bytes + 24, 40)) {
    error = "the packed container's header is damaged";
  } else {
    const int64_t count = static_cast<int64_t>(number_at(bytes + 8, 4));
    if (count <= kMostSections && count * kEntry <= size - kHeader) return count;
    error = "the packed container's table does not fit in it";
  }
  return -1;
}

}  // namespace

bool Container::read(const uint8_t* bytes, int64_t size, Container& container,
                     std::string& error) {
  container.sections.clear();
  const int64_t count = read_header(bytes, size, error);
  if (count < 0) return false;
  int64_t end = kHeader + count * kEntry;  // of what has been read so far
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t* entry = bytes + kHeader + i * kEntry;
    const int64_t letters = kind_length(entry);
    if (!letters) {
      error = section_text(i) + " of the packed container has no valid kind";
      return false;
    }
    const int64_t begin = aligned(end);
    const uint64_t length = number_at(entry + 24, 8);
    if (number_at(entry + 16, 8) != static_cast<uint64_t>(begin) || begin > size ||
        length > static_cast<uint64_t>(size - begin)) {
      error = section_text(i) + " of the packed container does not lie where it should";
      return false;
    }
    if (!all_zero(bytes + end, begin - end)) {
      error = "the packed container is damaged before " + section_text(i);
      return false;
    }
    Section section;
    section.kind.assign(reinterpret_cast<const char*>(entry), letters);
    section.data = bytes + begin;
    section.size = static_cast<int64_t>(length);
    container.sections.push_back(section);
    end = begin + section.size;
  }
  if (aligned(end) != size || !all_zero(bytes + end, size - end)) {
    error = "the packed container is damaged after its last section";
    return false;
  }
  return true;
}

const Section* Container::find(int number, const char* kind, std::string& error) const {
  if (number < 0 || number >= static_cast<int>(sections.size())) {
    error = "the program asks for " + section_text(number) + ", and the packed container has " +
            std::to_string(sections.size());
    return nullptr;
  }
  if (sections[number].kind != kind) {
    error = section_text(number) + " holds " + sections[number].kind + ", wanted " + kind;
    return nullptr;
  }
  return &sections[number];
}

bool Container::floats(int number, int64_t count, std::vector<float>& values,
                       std::string& error) const {
  const Section* section = find(number, "floats", error);
  if (!section) return false;
  if (section->size % 4 || section->size / 4 != count) {
    error = section_text(number) + " has " + std::to_string(section->size) + " bytes, wanted " +
            std::to_string(count) + " floats";
    return false;
  }
  values.resize(count);
  if (count) std::memcpy(values.data(), section->data, section->size);
  return true;
}

int64_t container_size(const int64_t* lengths, int64_t count) {
  if (count < 0 || count > kMostSections) return -1;
  int64_t end = kHeader + count * kEntry;
  for (int64_t i = 0; i < count; ++i) {
    if (lengths[i] < 0 || lengths[i] > kMostBytes - aligned(end)) return -1;
    end = aligned(end) + lengths[i];
  }
  return aligned(end);
}

bool container_write(const char* const* kinds, const uint8_t* const* data, const int64_t* lengths,
                     int64_t count, uint8_t* bytes) {
  const int64_t size = container_size(lengths, count);
  if (size < 0) return false;
  int64_t end = kHeader + count * kEntry;
  std::memset(bytes, 0, end);
  std::memcpy(bytes, "RFPK", 4);
  put_number(bytes + 4, 4, 1);
  put_number(bytes + 8, 4, count);
  put_number(bytes + 16, 8, size);
  for (int64_t i = 0; i < count; ++i) {
    uint8_t* entry = bytes + kHeader + i * kEntry;
    const int64_t begin = aligned(end);
    std::strncpy(reinterpret_cast<char*>(entry), kinds[i], kKind);
    if (!kind_length(entry)) return false;
    put_number(entry + 16, 8, begin);
    put_number(entry + 24, 8, lengths[i]);
    std::memset(bytes + end, 0, begin - end);
    if (lengths[i]) std::memcpy(bytes + begin, data[i], lengths[i]);
    end = begin + lengths[i];
  }
  std::memset(bytes + end, 0, size - end);
  return true;
}

}  // namespace rarefy
