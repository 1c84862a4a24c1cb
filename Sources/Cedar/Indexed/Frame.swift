/// One request over some entities, with the numbers of its names.
struct Frame {
    let request: Request
    let principal: Party
    let action: Party
    let resource: Party

    /// Who asks, what is asked or what for.
    struct Party {
        let operand: Operand
        /// All that it fulfils.
        let anchors: [Anchor]

        init(_ uid: EntityUID, in entities: Entities) {
            if let handle = entities.find(uid) {
                (operand, anchors) = (.entity(handle), entities.row(handle).anchors)
            } else {
                // No policy can ask for this very one.
                (operand, anchors) = (.other(.entity(uid)), [.any, .type(uid.type)])
            }
        }
    }

    init(_ request: Request, in entities: Entities) {
        self.request = request
        principal = Party(request.principal, in: entities)
        action = Party(request.action, in: entities)
        resource = Party(request.resource, in: entities)
    }
}
