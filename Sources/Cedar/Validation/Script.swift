/// The scripts that letters are of, as far as they are often confused. Unicode Standard Annex 24.
enum Script {
    /// Whether some one script has all letters of the text; what belongs to no script goes with all.
    static func isSingle(_ text: String) -> Bool {
        var common: Set<String>?
        for scalar in text.unicodeScalars {
            guard let scripts = scripts(of: scalar) else { continue }
            common = common?.intersection(scripts) ?? scripts
            if common?.isEmpty == true { return false }
        }
        return true
    }

    /// Nil for digits, punctuation and marks, which go with every script.
    private static func scripts(of scalar: Unicode.Scalar) -> Set<String>? {
        guard scalar.properties.isAlphabetic else { return nil }
        let found = table.first { $0.range.contains(scalar.value) }
        // Japanese and Korean are written in several scripts each, with those of Chinese (UTS 39, section 5.1).
        switch found?.name {
        case "Han": return ["Han", "Japanese", "Korean"]
        case "Hiragana", "Katakana": return ["Japanese"]
        case "Hangul": return ["Korean"]
        case let name?: return [name]
        case nil: return nil
        }
    }

    /// By their blocks, the letters of which are of that script.
    private static let table: [(range: ClosedRange<UInt32>, name: String)] = [
        (0x0041...0x024F, "Latin"), (0x0250...0x02AF, "Latin"), (0x0370...0x03FF, "Greek"),
        (0x0400...0x052F, "Cyrillic"), (0x0531...0x058F, "Armenian"), (0x0590...0x05FF, "Hebrew"),
        (0x0600...0x06FF, "Arabic"), (0x0700...0x074F, "Syriac"), (0x0750...0x077F, "Arabic"),
        (0x0780...0x07BF, "Thaana"), (0x0900...0x097F, "Devanagari"), (0x0980...0x09FF, "Bengali"),
        (0x0A00...0x0A7F, "Gurmukhi"), (0x0A80...0x0AFF, "Gujarati"), (0x0B00...0x0B7F, "Oriya"),
        (0x0B80...0x0BFF, "Tamil"), (0x0C00...0x0C7F, "Telugu"), (0x0C80...0x0CFF, "Kannada"),
        (0x0D00...0x0D7F, "Malayalam"), (0x0D80...0x0DFF, "Sinhala"), (0x0E00...0x0E7F, "Thai"),
        (0x0E80...0x0EFF, "Lao"), (0x0F00...0x0FFF, "Tibetan"), (0x1000...0x109F, "Myanmar"),
        (0x10A0...0x10FF, "Georgian"), (0x1100...0x11FF, "Hangul"), (0x1200...0x139F, "Ethiopic"),
        (0x13A0...0x13FF, "Cherokee"), (0x1400...0x167F, "Canadian"), (0x1780...0x17FF, "Khmer"),
        (0x1800...0x18AF, "Mongolian"), (0x1C80...0x1C8F, "Cyrillic"), (0x1C90...0x1CBF, "Georgian"),
        (0x1D00...0x1D25, "Latin"), (0x1D26...0x1D2A, "Greek"), (0x1D2B...0x1D2B, "Cyrillic"),
        (0x1D2C...0x1D5C, "Latin"), (0x1E00...0x1EFF, "Latin"), (0x1F00...0x1FFF, "Greek"),
        (0x2DE0...0x2DFF, "Cyrillic"), (0x3041...0x309F, "Hiragana"), (0x30A1...0x30FF, "Katakana"),
        (0x3105...0x312F, "Bopomofo"), (0x3130...0x318F, "Hangul"), (0x3400...0x4DBF, "Han"),
        (0x4E00...0x9FFF, "Han"), (0xA640...0xA69F, "Cyrillic"), (0xA720...0xA7FF, "Latin"),
        (0xAB70...0xABBF, "Cherokee"), (0xAC00...0xD7FF, "Hangul"), (0xF900...0xFAFF, "Han"),
        (0xFB00...0xFB06, "Latin"), (0xFB1D...0xFB4F, "Hebrew"), (0xFB50...0xFDFF, "Arabic"),
        (0xFE70...0xFEFF, "Arabic"), (0xFF21...0xFF5A, "Latin"), (0xFF66...0xFF9F, "Katakana"),
        (0x20000...0x3FFFF, "Han"),
    ]
}
