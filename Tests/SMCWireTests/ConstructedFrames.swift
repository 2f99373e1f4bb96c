/// Messages that no capture shows. The first group is PROTOCOL 11.2, decoded there by Wireshark; the second is ours and
/// follows the tables of PROTOCOL 2 and 3.
enum ConstructedFrames {
    static let confirmLinkV1 = Frame(
        "Confirm Link v1",
        "012c0003 525400000001 00000000000000000000ffff0a4d0001 000011 01 00000101 02 00 0000000000000000")
    static let confirmLinkV2 = Frame(
        "Confirm Link v2, big endian",
        "21002c03 525400000001 00000000000000000000ffff0a4d0001 000011 01 00000101 02 ff 0000000000000000")
    static let addLinkV1 = Frame(
        "Add Link v1",
        "022c0000 525400000001 0000 00000000000000000000ffff0a4d0001 000012 02 05 000077 0000000000000000")
    static let addLinkRejectV1 = Frame(
        "Add Link v1 rejected",
        "022c01c0 525400000001 0000 00000000000000000000ffff0a4d0001 000012 02 05 000077 0000000000000000")
    static let confirmRKey = Frame(
        "Confirm RKey v1, 2 links",
        "062c0000 01 000003be 0000000000001000 02 000004be 0000000000002000 00*13 00")
    static let deleteRKey = Frame("Delete RKey v1", "092c0000 01 00 0000 000003be 00*28 00000000")
    static let deleteLinkAll = Frame("Delete Link v1, all", "042c0060 00 00030000 00*35")
    static let testLink = Frame("Test Link v1", "072c0000 000102030405060708090a0b0c0d0e0f 00*24")
    static let cdcData = Frame(
        "CDC with B and R", "fe2c 0001 00000001 0000 0000 00000008 0000 0000 00000000 90 00 00*18")
    static let cdcClose = Frame(
        "CDC close", "fe2c 0002 00000001 0000 0000 00000008 0000 0000 00000008 00 40 00*18")
    static let cdcFailover = Frame("CDC failover", "fe2c 0002 00000001 00*16 08 00 00*18")
    static let declineV1 = Frame(
        "Decline v1, no device", "e2d4c3d9 04 001c 10 a650525400000002 03030000 00000000 e2d4c3d9")
    static let declineV2 = Frame(
        "Decline v2, out of sync", "e2d4c3d9 04 002c 28 a650525400000002 04000000 20000000 00*16 e2d4c3d9")

    static let proposalV1 = Frame(
        "Proposal v1, RDMA, IPv4",
        """
        e2d4c3d9 01 0034 10 a650525400000002 fe80000000000000505400fffe000002 525400000002 0000
        0a4d0000 18 0000 00 e2d4c3d9
        """)
    static let proposalV1Both = Frame(
        "Proposal v1, both, one IPv6 prefix",
        """
        e2d4c3d9 01 006d 13 a650525400000002 fe80000000000000505400fffe000002 525400000002 0028
        0102030405060708 0007 0000 00*28
        0a4d0000 18 0000 01 20010db8000000000000000000000000 40 e2d4c3d9
        """)
    static let proposalAll = Frame(
        "Proposal v2, every mode of both versions",
        """
        e2d4c3d9 01 0123 2f a650525400000002 fe80000000000000505400fffe000002 525400000002 0028
        0102030405060708 0007 0035 00005e 0102030405 00*20
        0a4d0000 18 0000 01 20010db8000000000000000000000000 40
        02 03 00 11 0000 0060 00000000000000000000ffff0a4d0002 10 02 0001 00*12
        534d4254455354 20*25 414243 20*29
        49424d2d5359535a2d49534d534549443030303030303030 3132333438353631 00*16
        1112131415161718 0005 2122232425262728 ffff 3132333435363738 ffff e2d4c3d9
        """)
    static let acceptV1 = Frame(
        "Accept v1, RDMA, first contact",
        """
        e2d4c3d9 02 0044 18 829d525400000001 fe80000000000000505400fffe000001 525400000001
        000011 000003be 01 00000001 25 00 ff11000007b30000 00 7b7ac5 e2d4c3d9
        """)
    static let confirmV2Reuse = Frame(
        "Confirm v2, RDMA, reuse",
        """
        e2d4c3d9 03 006c 20 a650525400000002 00000000000000000000ffff0a4d0002 525400000002
        000011 0000038d 01 00000002 25 00 ff11000008970000 00 7f93b9 534d4254455354 20*25 00*8 e2d4c3d9
        """)
    static let acceptDMBV1 = Frame(
        "Accept v1, DMB",
        "e2d4c3c4 02 0030 19 0102030405060708 1112131415161718 00 20 0000 a1a2a3a4 00*12 e2d4c3c4")
    static let acceptDMBV2Reuse = Frame(
        "Accept v2, DMB, reuse",
        """
        e2d4c3c4 02 004e 21 0102030405060708 1112131415161718 02 20 0000 a1a2a3a4 0005
        534d4254455354 20*25 00*8 e2d4c3c4
        """)
    static let acceptDMBRelease0 = Frame(
        "Accept v2, DMB, first contact, release 0",
        """
        e2d4c3c4 02 0072 29 0102030405060708 1112131415161718 00 20 0000 a1a2a3a4 ffff
        534d4254455354 20*25 2122232425262728 00 20 0000 686f7374 20*28 e2d4c3c4
        """)
    static let confirmDMBRelease1 = Frame(
        "Confirm v2, DMB, first contact, release 1",
        """
        e2d4c3c4 03 0082 29 0102030405060708 1112131415161718 00 20 0000 a1a2a3a4 ffff
        534d4254455354 20*25 2122232425262728 00 21 0000 686f7374 20*28 00 00 0001 01020304 1020304050607080
        e2d4c3c4
        """)
    static let addLinkContinuation = Frame(
        "Add Link Continuation",
        "032c0080 02 03 0000 000003be000004be0000000000001000 000003bf000004bf0000000000002000 00000000")
    static let addLinkContinuationEmpty = Frame("Add Link Continuation, empty", "032c0000 02 00 0000 00*36")
    static let addLinkV2 = Frame(
        "Add Link v2 of two keys, big endian, rejected for its MTU",
        """
        220068c2 525400000001 0000 00000000000000000000ffff0a4d0001 000012 02 05 000077 0000000000000000
        00 00 00000000000000000000ffff0a4d0002 00*8 0002
        000003be000004be0000000000001000 000003bf000004bf0000000000002000
        """)
    static let requestAddLink = Frame(
        "Request Add Link of two GIDs",
        "25003c00 00*20 02 000000 00000000000000000000ffff0a4d0002 00000000000000000000ffff0a4e0002")
    static let requestAddLinkRefused = Frame("Request Add Link refused", "25002c80 00*40")
    static let confirmRKeyContinuation = Frame(
        "Confirm RKey Continuation",
        """
        082c00b0 04 03000003be0000000000001000 04000003bf0000000000002000 05000003c00000000000003000
        """)
    static let deleteRKeyV2Long = Frame(
        "Delete RKey v2 of ten keys",
        """
        29003000 0a 00 0000
        00000001 00000002 00000003 00000004 00000005 00000006 00000007 00000008 00000009 0000000a
        """)
    static let deleteLinkResponseV2 = Frame("Delete Link v2 response", "24002c80 02 00100000 00*35")

    static let protocolNotes = [
        confirmLinkV1, confirmLinkV2, addLinkV1, addLinkRejectV1, confirmRKey, deleteRKey, deleteLinkAll, testLink,
        cdcData, cdcClose, cdcFailover, declineV1, declineV2,
    ]
    static let ours = [
        proposalV1, proposalV1Both, proposalAll, acceptV1, confirmV2Reuse, acceptDMBV1, acceptDMBV2Reuse,
        acceptDMBRelease0, confirmDMBRelease1, addLinkContinuation, addLinkContinuationEmpty, addLinkV2,
        requestAddLink, requestAddLinkRefused, confirmRKeyContinuation, deleteRKeyV2Long, deleteLinkResponseV2,
    ]
    static let all = Self.protocolNotes + Self.ours
}
