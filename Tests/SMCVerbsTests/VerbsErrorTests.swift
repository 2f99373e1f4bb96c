import SMCVerbs
import Testing

/// The texts say what to do, not only what failed.
@Suite struct VerbsErrorTests {
    private let noMemory: Int32 = 12
    private let accessDenied: Int32 = 13

    @Test func registrationNamesTheLimit() {
        let text = VerbsError("ibv_reg_mr", .errno(self.noMemory)).description
        #expect(text.hasPrefix("ibv_reg_mr: "))
        #expect(text.contains("RLIMIT_MEMLOCK") && text.contains("LimitMEMLOCK"))
    }

    @Test func otherLackOfMemoryDoesNot() {
        #expect(!VerbsError("ibv_post_send", .errno(self.noMemory)).description.contains("MEMLOCK"))
    }

    @Test func accessNamesTheFiles() {
        #expect(VerbsError("rdma_create_id", .errno(self.accessDenied)).description.contains("/dev/infiniband"))
    }

    @Test func noDeviceSaysHowToGetOne() {
        #expect(VerbsError("rdma_resolve_addr", .noDevice).description.contains("no RDMA device on this host"))
    }

    @Test func partlyPostedSaysHowMany() {
        let text = VerbsError("ibv_post_send", .partlyPosted(accepted: 2, errno: self.noMemory)).description
        #expect(text.contains("after 2 work requests"))
    }

    @Test func completionStatusesHaveDifferentTexts() {
        let texts = WorkCompletion.Status.allCases.map(\.description)
        #expect(Set(texts).count == texts.count)
        #expect(WorkCompletion.Status(rawValue: 5) == .flushed)
        #expect(WorkCompletion.Status(rawValue: 10) == .remoteAccess)
        #expect(WorkCompletion.Status(rawValue: 12) == .retryExceeded)
        #expect(WorkCompletion.Status(rawValue: 21) == .general)
    }

    @Test func onlySuccessPasses() throws {
        for status in WorkCompletion.Status.allCases {
            let completion = WorkCompletion(
                id: 1, kind: nil, status: status, byteCount: 0, immediate: nil, queuePairNumber: 7)
            do throws(VerbsError) {
                try completion.checkSuccess(of: "send")
                #expect(status == .success)
            } catch {
                #expect(error == VerbsError("send", .completion(status)))
            }
        }
    }
}
