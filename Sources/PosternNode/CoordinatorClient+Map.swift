import AsyncHTTPClient
package import CoordinationAPI
import NIOCore
import NIOHTTP1

extension CoordinatorClient {
    /// Follows the map from a version on, or from the start, for as long as the coordinator speaks.
    ///
    /// The next event is read when `take` has done with this one: who takes events slowly is sent fewer, bigger ones.
    package func followMap(
        after known: Position?, _ take: (MapEvent) async throws -> Void
    ) async throws {
        let query = known.map { "?epoch=\($0.epoch)&version=\($0.version)" } ?? "?epoch=0"
        let response = try await open("/v1/map" + query)
        var lines = LineSplitter(limit: MapEvent.maximumLength)
        // Why we stop listening, if it is for a reason of our own.
        var refusal: (any Error)?
        do {
            reading: for try await part in response.body {
                do {
                    for line in try lines.take(part.readableBytesView) { try await take(try Self.event(line)) }
                } catch {
                    refusal = error
                    break reading
                }
            }
        } catch is CancellationError { throw CancellationError() } catch {
            throw CoordinatorError.unreachable(url: url, reason: reason(for: error))
        }
        throw refusal ?? CoordinatorError.unreachable(url: url, reason: "it ended the connection")
    }

    private static func event(_ line: [UInt8]) throws(CoordinatorError) -> MapEvent {
        do { return try JSON.decode(MapEvent.self, from: line) } catch { throw .unreadable(error.reason) }
    }

    private func open(_ path: String) async throws(CoordinatorError) -> HTTPClientResponse {
        let response: HTTPClientResponse
        do {
            response = try await client.execute(HTTPClientRequest(url: url + path), timeout: .seconds(10))
            guard response.status != .ok else { return response }
            let body = try await response.body.collect(upTo: 65_536)
            if let refusal = try? JSON.decode(ErrorResponse.self, from: Array(buffer: body)) {
                throw CoordinatorError.refused(refusal)
            }
            throw CoordinatorError.unreadable("status \(response.status.code) without a reason")
        } catch let error as CoordinatorError { throw error } catch {
            throw .unreachable(url: url, reason: reason(for: error))
        }
    }
}
