/** The messages of containerd's content service (`containerd.services.content.v1`) that tell how far a pull is, with the published field numbers. */
import { bytes, integer, message, repeated, string, stringMap, strings } from './cri-protobuf.ts';

export const ContentInfo = message({ digest: string(1), size: integer(2), labels: stringMap(5) });
export const ListContentRequest = message({ filters: strings(1) });
export const ListContentResponse = message({ info: repeated(1, ContentInfo) });

export const ReadContentRequest = message({ digest: string(1), offset: integer(2), size: integer(3) });
export const ReadContentResponse = message({ offset: integer(1), data: bytes(2) });

/** Of content that is on its way. */
export const IngestStatus = message({ ref: string(3), offset: integer(4), total: integer(5) });
export const ListStatusesRequest = message({ filters: strings(1) });
export const ListStatusesResponse = message({ statuses: repeated(1, IngestStatus) });
