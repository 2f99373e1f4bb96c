internal import SMCMemory
internal import SMCSystem
internal import SMCWire

/// Memory of earlier hypervisors, as partitions show it.
extension DaemonLoop {
    /// Looks at the descriptor, and lets the model decide about what it leads to.
    func reregister(
        _ registration: Reregistration, _ descriptors: consuming ForeignDescriptors, _ session: DaemonSession
    ) -> Outcome {
        let instruction: Instruction
        do throws(Unsuitable) {
            let (memory, identity) = try self.look(at: registration, &descriptors)
            self.shown = memory
            instruction = .reregister(registration, identity)
        } catch {
            return Outcome(response: .refused(.unsuitableMemory, error.text), effects: [], records: [])
        }
        let outcome = self.hypervisor.perform(instruction, by: session.caller)
        // Kept only when the books say so: a second descriptor of known memory is closed.
        if !outcome.effects.contains(where: { if case .keepAdopted = $0 { true } else { false } }) { self.shown = nil }
        return outcome
    }

    private struct Unsuitable: Error {
        let text: String
    }

    private func look(
        at registration: Reregistration, _ descriptors: inout ForeignDescriptors
    ) throws(Unsuitable) -> (AdoptedMemory, MemoryIdentity) {
        let said = registration.fileByteCount
        guard BufferElementLayout.isValid(ringByteCount: registration.ringByteCount),
            said >= BufferElementLayout.controlByteCount + registration.ringByteCount
        else { throw Unsuitable(text: "A file of \(said) bytes holds no ring of \(registration.ringByteCount).") }
        guard let descriptor = descriptors.takeMemoryFile() else {
            throw Unsuitable(text: "The descriptor is not that of a memory file, so it cannot be an SMB.")
        }
        let memory: AdoptedMemory
        let identity: FileIdentity
        do throws(SystemCallError) {
            memory = AdoptedMemory(try MemoryFile.adoptForeign(descriptor, byteCount: said))
            identity = try memory.file.identity()
        } catch {
            throw Unsuitable(text: "The descriptor cannot be that of an SMB: \(error).")
        }
        guard !self.blocks.contains(identity) else {
            throw Unsuitable(text: "The memory is of this hypervisor's own pool, and in the books already.")
        }
        return (memory, MemoryIdentity(device: identity.device, inode: identity.inode))
    }
}
