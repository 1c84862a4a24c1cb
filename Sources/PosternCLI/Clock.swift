import Foundation
import Mesh

/// The time of this machine's clock.
func wallClock() -> Timestamp {
    Timestamp(rawValue: Int64(Date().timeIntervalSince1970 * 1000))
}
