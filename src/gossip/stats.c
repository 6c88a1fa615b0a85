/* The mesh's metrics (spec 20): upstream's names and meanings, and tocsin's own for what is dropped and refused. */
#include "gossip/gossip_int.h"
#include "gossip/peer.h"

static const double ping_bounds[] = { .005, .01, .025, .05, .1, .25, .5 };
static const double default_bounds[] = { .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10 };

#define G struct gossip_stats
#define AM "alertmanager_cluster_"

const struct metric_desc gossip_metrics[] = {
    METRIC(GAUGE, G, enabled, AM "enabled", "Indicates whether the clustering is enabled or not."),
    METRIC(GAUGE, G, members, AM "members", "Number indicating current number of members in cluster."),
    METRIC(GAUGE, G, health_score, AM "health_score",
           "Health score of the cluster. Lower values are better and zero means 'totally healthy'."),
    METRIC(GAUGE, G, messages_queued, AM "messages_queued", "Number of cluster messages which are queued."),
    METRIC(COUNTER, G, messages_pruned, AM "messages_pruned_total", "Total number of cluster messages pruned."),
    METRIC(COUNTER, G, name_conflicts, AM "peer_name_conflicts_total",
           "Total number of times a node with a conflicting name was seen."),
    METRIC(COUNTER, G, received_full, AM "messages_received_total", "Total number of cluster messages received.",
           "msg_type=full_state"),
    METRIC(COUNTER, G, received_update, AM "messages_received_total", "Total number of cluster messages received.",
           "msg_type=update"),
    METRIC(COUNTER, G, received_size_full, AM "messages_received_size_total",
           "Total size of cluster messages received.", "msg_type=full_state"),
    METRIC(COUNTER, G, received_size_update, AM "messages_received_size_total",
           "Total size of cluster messages received.", "msg_type=update"),
    METRIC(COUNTER, G, sent_full, AM "messages_sent_total", "Total number of cluster messages sent.",
           "msg_type=full_state"),
    METRIC(COUNTER, G, sent_update, AM "messages_sent_total", "Total number of cluster messages sent.",
           "msg_type=update"),
    METRIC(COUNTER, G, sent_size_full, AM "messages_sent_size_total", "Total size of cluster messages sent.",
           "msg_type=full_state"),
    METRIC(COUNTER, G, sent_size_update, AM "messages_sent_size_total", "Total size of cluster messages sent.",
           "msg_type=update"),
    METRIC_VEC(COUNTER, G, alive_messages, AM "alive_messages_total", "Total number of received alive messages.", "peer"),
    METRIC_HIST_VEC(G, pings_seconds, AM "pings_seconds", "Histogram of latencies for ping messages.", "peer", ping_bounds),
    METRIC_VEC(GAUGE, G, peer_info, AM "peer_info", "A metric with a constant '1' value labeled by peer name.", "peer"),
    METRIC_VEC(COUNTER, G, oversized_sent, "alertmanager_oversized_gossip_message_sent_total",
               "Number of oversized gossip message sent.", "key"),
    METRIC_VEC(COUNTER, G, oversized_failed, "alertmanager_oversized_gossip_message_failure_total",
               "Number of oversized gossip message sends that failed.", "key"),
    METRIC_VEC(COUNTER, G, oversized_dropped, "alertmanager_oversized_gossip_message_dropped_total",
               "Number of oversized gossip messages that were dropped due to a full message queue.", "key"),
    METRIC_HIST_VEC(G, oversize_seconds, "alertmanager_oversize_gossip_message_duration_seconds",
                    "Duration of oversized gossip message requests.", "key", default_bounds),
    METRIC(COUNTER, G, packets_received, "tocsin_cluster_packets_received_total", "Datagrams received."),
    METRIC(COUNTER, G, packets_sent, "tocsin_cluster_packets_sent_total", "Datagrams sent."),
    METRIC(COUNTER, G, packets_dropped_label, "tocsin_cluster_packets_dropped_total",
           "Datagrams that were dropped, by reason.", "reason=label"),
    METRIC(COUNTER, G, packets_dropped_crypt, "tocsin_cluster_packets_dropped_total",
           "Datagrams that were dropped, by reason.", "reason=encryption"),
    METRIC(COUNTER, G, packets_dropped_bad, "tocsin_cluster_packets_dropped_total",
           "Datagrams that were dropped, by reason.", "reason=content"),
    METRIC(COUNTER, G, streams_dropped_label, "tocsin_cluster_streams_dropped_total",
           "Streams that were dropped, by reason.", "reason=label"),
    METRIC(COUNTER, G, streams_dropped_crypt, "tocsin_cluster_streams_dropped_total",
           "Streams that were dropped, by reason.", "reason=encryption"),
    METRIC(COUNTER, G, streams_dropped_bad, "tocsin_cluster_streams_dropped_total",
           "Streams that were dropped, by reason.", "reason=content"),
    METRIC(COUNTER, G, streams_refused, "tocsin_cluster_streams_dropped_total",
           "Streams that were dropped, by reason.", "reason=limit"),
    METRIC(COUNTER, G, nodes_refused, "tocsin_cluster_nodes_refused_total",
           "Nodes that were not taken into the full member list."),
    METRIC(COUNTER, G, merges_refused, "tocsin_cluster_merges_refused_total",
           "Push/pulls whose protocol versions do not agree with ours."),
    METRIC(COUNTER, G, outbox_dropped, "tocsin_cluster_messages_dropped_total",
           "Messages between tocsin nodes that were dropped because too many waited."),
};
const size_t gossip_metrics_count = ARRAY_LEN(gossip_metrics);

#undef G
#define G struct peer_stats

const struct metric_desc peer_metrics[] = {
    METRIC(GAUGE, G, failed_peers, AM "failed_peers",
           "Number indicating the current number of failed peers in the cluster."),
    METRIC(GAUGE, G, position, "alertmanager_peer_position",
           "Position the Alertmanager instance believes it's in. The position determines a peer's behavior in the cluster."),
    METRIC(COUNTER, G, joined, AM "peers_joined_total", "A counter of the number of peers that have joined."),
    METRIC(COUNTER, G, left, AM "peers_left_total", "A counter of the number of peers that have left."),
    METRIC(COUNTER, G, updated, AM "peers_update_total",
           "A counter of the number of peers that have updated metadata."),
    METRIC(COUNTER, G, reconnections, AM "reconnections_total", "A counter of the number of reconnections."),
    METRIC(COUNTER, G, reconnections_failed, AM "reconnections_failed_total",
           "A counter of the number of failed cluster peer reconnection attempts."),
    METRIC(COUNTER, G, refresh_join, AM "refresh_join_total",
           "A counter of the number of cluster peers that are joined via refresh."),
    METRIC(COUNTER, G, refresh_join_failed, AM "refresh_join_failed_total",
           "A counter of the number of failed cluster peer joined attempts via refresh."),
};
const size_t peer_metrics_count = ARRAY_LEN(peer_metrics);

struct counter *stats_by_key(struct metric_vec *v, struct str key)
{
    static struct counter nowhere; /* for meshes whose statistics have no vectors: simulations */
    return v ? metric_vec_counter(v, &key) : &nowhere;
}

void gossip_stats_init(struct gossip_stats *s)
{
    static const char *const keys[] = { "nfl", "sil" };
    *s = (struct gossip_stats){ 0 };
    metric_stats_init(gossip_metrics, gossip_metrics_count, s);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct str key = str_c(keys[i]);
        (void)metric_vec_counter(s->oversized_sent, &key);
        (void)metric_vec_counter(s->oversized_failed, &key);
        (void)metric_vec_counter(s->oversized_dropped, &key);
        (void)metric_vec_histogram(s->oversize_seconds, &key);
    }
}

void gossip_stats_deinit(struct gossip_stats *s)
{
    metric_stats_deinit(gossip_metrics, gossip_metrics_count, s);
}
