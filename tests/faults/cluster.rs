//! Redis Cluster: each tenant's values are on one of three nodes, and any node may die.

use crate::{
    stage::Replica,
    support::{TestDb, redis::Cluster},
    truth::{Truth, hits_are_back},
};
use sentby::domain::TenantId;
use uuid::Uuid;

/// Enough that no node is without one.
const TENANTS: u128 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lookups_stay_right_while_nodes_of_a_cluster_die() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let Some(mut cluster) = Cluster::start().await else {
        return;
    };
    let servers = [(); 2].map(|()| Replica::start(&db, &cluster.url()));
    let clients = [servers[0].client().await, servers[1].client().await];
    let mut tenants = Vec::new();
    for n in 0..TENANTS {
        let tenant = TenantId(Uuid::from_u128(0x4111_8111_0000_0000_0000 + n));
        tenants.push(Truth::store(&clients[n as usize % 2], tenant).await);
    }
    let assert_all = async |what: &str| {
        for truth in &tenants {
            for client in &clients {
                truth.assert_all(client, what).await;
            }
        }
    };
    assert_all("all nodes live").await;
    for node in &cluster.nodes {
        let what = "every node has its part";
        hits_are_back(&tenants, &clients[0], &[node], what).await;
    }
    for lost in 0..cluster.nodes.len() {
        let what = format!("node {lost} of the cluster is dead");
        cluster.nodes[lost].kill();
        assert_all(&what).await;
        cluster.nodes[lost].restart().await;
        let what = format!("node {lost} of the cluster is back");
        for client in &clients {
            hits_are_back(&tenants, client, &[&cluster.nodes[lost]], &what).await;
        }
        assert_all(&what).await;
    }
    servers.into_iter().for_each(Replica::stop);
}
