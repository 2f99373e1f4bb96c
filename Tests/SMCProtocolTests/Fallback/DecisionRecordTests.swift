import SMCProtocol
import Testing

struct DecisionRecordTests {
    private static let noHypervisor = FallbackReason(.noHypervisor, "nobody answers")
    private static let noDevice = FallbackReason(.noDevice, "no RNIC")

    @Test func pathsAreOrderedByTheirSpeed() {
        #expect(DecisionRecord.PathKind.sharedMemory < .rdma)
        #expect(DecisionRecord.PathKind.rdma < .tcp)
        #expect(DecisionRecord.PathKind.allCases.sorted() == [.sharedMemory, .rdma, .tcp])
    }

    @Test func onlyFasterPathsMatter() {
        var record = DecisionRecord()
        record.refuse(.sharedMemory, Self.noHypervisor)
        record.refuse(.rdma, Self.noDevice)
        record.path = .rdma
        #expect(record.relevantRefusals.map(\.path) == [.sharedMemory])
        #expect(record.reason == "shared-memory: nobody answers")
        record.path = .tcp
        #expect(record.reason == "shared-memory: nobody answers; rdma: no RNIC")
        record.path = .sharedMemory
        #expect(record.reason == nil)
        #expect(record.remedy == nil)
    }

    @Test func theSameReasonIsNotedOnce() {
        var record = DecisionRecord()
        record.refuse(.rdma, Self.noDevice)
        record.refuse(.rdma, Self.noDevice)
        record.refuse(.sharedMemory, Self.noDevice)
        #expect(record.refusals.count == 2)
        // One remedy mends both.
        #expect(record.remedy == Self.noDevice.remedy)
    }

    @Test func anUndecidedRecordTellsEverything() {
        var record = DecisionRecord()
        #expect(record.reason == nil)
        record.refuse(.rdma, Self.noDevice)
        #expect(record.reason == "rdma: no RNIC")
    }
}
