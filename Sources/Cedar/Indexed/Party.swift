/// Who asks, what is asked, or what for, with the number of its name.
struct Party {
    let operand: Operand
    let row: Row

    init(_ uid: EntityUID, in entities: Entities) {
        if let handle = entities.find(uid) {
            (operand, row) = (.entity(handle), entities.row(handle))
        } else {
            // No policy can ask for this very one, and none has the number 0.
            (operand, row) = (.other(.entity(uid)), Row(uid, 0))
        }
    }
}
