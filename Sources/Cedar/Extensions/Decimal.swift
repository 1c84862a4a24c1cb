extension Value {
    /// A number with four decimal places.
    public struct Decimal: Hashable, Comparable, Sendable, CustomStringConvertible {
        /// In units of 1/10000.
        public let tenThousandths: Int64

        public init(tenThousandths: Int64) { self.tenThousandths = tenThousandths }

        /// `-?digits.digits`, one to four of the latter.
        public init(_ text: Text) throws(ExtensionError) {
            var rest = Array(text.string.utf8)[...]
            let negative = rest.first == UInt8(ascii: "-")
            if negative { rest = rest.dropFirst() }
            let whole = rest.prefix(while: Identifier.isDigit)
            rest = rest.dropFirst(whole.count)
            let fraction = rest.dropFirst()
            guard !whole.isEmpty, rest.first == UInt8(ascii: "."), !fraction.isEmpty,
                fraction.allSatisfy(Identifier.isDigit)
            else { throw ExtensionError("\(StringLiteral.quoted(text.string)) is no decimal, such as \"12.34\"") }
            guard fraction.count <= 4 else {
                throw ExtensionError("a decimal has at most four digits after the point")
            }
            let padded = Array(fraction) + Array(repeating: UInt8(ascii: "0"), count: 4 - fraction.count)
            guard let value = signedInteger(whole + padded, negative: negative) else {
                throw ExtensionError("\(StringLiteral.quoted(text.string)) is out of the range of decimals")
            }
            tenThousandths = value
        }

        public var description: String {
            let (whole, fraction) = tenThousandths.magnitude.quotientAndRemainder(dividingBy: 10_000)
            var digits = String(10_000 + fraction).dropFirst()
            while digits.count > 1, digits.last == "0" { digits.removeLast() }
            return "\(tenThousandths < 0 ? "-" : "")\(whole).\(digits)"
        }

        public static func < (left: Decimal, right: Decimal) -> Bool { left.tenThousandths < right.tenThousandths }
    }
}

/// Why a constructor or method of an extension type gave no value.
public struct ExtensionError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}

/// The number that ASCII digits spell; nil unless it fits.
func signedInteger(_ digits: some Sequence<UInt8>, negative: Bool = false) -> Int64? {
    var value: Int64 = 0
    for byte in digits {
        let digit = Int64(byte) - Int64(UInt8(ascii: "0"))
        let (product, overflow) = value.multipliedReportingOverflow(by: 10)
        // Towards the sign from the start: the smallest number has no positive counterpart.
        let (sum, carry) =
            negative
            ? product.subtractingReportingOverflow(digit) : product.addingReportingOverflow(digit)
        if overflow || carry { return nil }
        value = sum
    }
    return value
}
