import Foundation

/// What the reference measured of one scale, and what it answered.
struct Reference: Decodable {
    /// Of single calls, by its own clock and by ours around it.
    let engine: Samples
    let wall: Samples
    /// A request of a batch.
    let batch: Samples
    let parse: Samples
    /// With the resource unknown; none where that takes too long.
    let partial: Samples
    /// One more put in.
    let policyChange: Samples
    let entityChange: Samples
    let answers: [Answer]

    struct Answer: Decodable, Equatable {
        let allowed: Bool
        /// In order.
        let reasons: [String]
    }

    init(of scale: Scale, in folder: URL) throws {
        let data = try Data(contentsOf: folder.appending(path: "\(scale.name).reference.json"))
        self = try JSONDecoder().decode(Reference.self, from: data)
    }
}
