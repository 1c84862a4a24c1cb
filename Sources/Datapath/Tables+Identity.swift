internal import CBpf

extension Tables {
    /// The kernel's number for these tables: as long as they live no others have it.
    package func id() throws(DatapathError) -> UInt32 {
        var information = bpf_map_info()
        var length = UInt32(MemoryLayout<bpf_map_info>.size)
        try DatapathError.check(
            unsafe bpf_obj_get_info_by_fd(state.descriptor.raw, &information, &length), "examine the tables")
        return information.id
    }
}
