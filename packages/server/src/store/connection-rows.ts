import type { Connection } from "../core/connection.ts";
import type { ConnectionTable } from "./schema.ts";

/** A connection as its row of the ledger, not yet finished. */
export function rowOf(connection: Connection): ConnectionTable {
  return {
    id: connection.id,
    user_id: connection.userId,
    profile_id: connection.profileId,
    node_number: connection.nodeNumber,
    listener: connection.listener,
    protocol: connection.protocol,
    connection_id: connection.connectionId,
    tunnel_key: connection.tunnelKey,
    attempt_id: connection.attemptId,
    ipv4: connection.ipv4,
    ipv6: connection.ipv6,
    originating_ip: connection.originatingIp,
    state: connection.state,
    properties: JSON.stringify(connection.properties),
    group_snapshot: connection.group && JSON.stringify(connection.group),
    connect_event_id: connection.connectEventId,
    disconnect_event_id: connection.disconnectEventId,
    reserved_at: connection.reservedAt,
    admitted_at: connection.admittedAt,
    established_at: connection.establishedAt,
    expires_at: connection.expiresAt,
    ended_at: connection.endedAt,
    end_reason: connection.endReason,
    end_detail: connection.endDetail,
    bytes_in: connection.bytesIn,
    bytes_out: connection.bytesOut,
    finished: 0,
  };
}

export function connectionOf(row: ConnectionTable): Connection {
  return {
    id: row.id,
    userId: row.user_id,
    profileId: row.profile_id,
    nodeNumber: row.node_number,
    listener: row.listener,
    protocol: row.protocol,
    connectionId: row.connection_id,
    tunnelKey: row.tunnel_key,
    attemptId: row.attempt_id,
    ipv4: row.ipv4,
    ipv6: row.ipv6,
    originatingIp: row.originating_ip,
    state: row.state,
    properties: JSON.parse(row.properties),
    group: row.group_snapshot === null ? null : JSON.parse(row.group_snapshot),
    connectEventId: row.connect_event_id,
    disconnectEventId: row.disconnect_event_id,
    reservedAt: row.reserved_at,
    admittedAt: row.admitted_at,
    establishedAt: row.established_at,
    expiresAt: row.expires_at,
    endedAt: row.ended_at,
    endReason: row.end_reason,
    endDetail: row.end_detail,
    bytesIn: Number(row.bytes_in),
    bytesOut: Number(row.bytes_out),
  };
}
