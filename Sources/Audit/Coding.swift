import CoordinationAPI

func encoded(_ value: some Encodable) throws(AuditError) -> [UInt8] {
    do { return try JSON.encode(value) } catch { throw AuditError("it cannot be written: \(error.reason)") }
}

func decoded<Value: Decodable>(_ bytes: [UInt8]) throws(AuditError) -> Value {
    do { return try JSON.decode(Value.self, from: bytes) } catch {
        throw AuditError("it cannot be read: \(error.reason)")
    }
}
