//! Nothing is answered from a database that was not looked at, or that is not as it must be.

use super::server::{TestServer, reason};
use crate::support::{TENANT, TestDb, register};
use sentby::{config::DatabaseUrl, pb, server};
use std::{net::Ipv4Addr, time::Duration};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tonic::{Code, Status};

async fn ask(server: &TestServer) -> Result<pb::GetTenantResponse, Status> {
    let request = pb::GetTenantRequest {
        tenant_id: TENANT.to_string(),
        ..Default::default()
    };
    let answer = server.tenants().get_tenant(request).await;
    answer.map(tonic::Response::into_inner)
}

/// As soon as it is repaired, and not before.
async fn until_answered(server: &TestServer) {
    let answered = async {
        while ask(server).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(60), answered)
        .await
        .expect("answered again");
}

/// A way to the database that opens later.
async fn pass_on(port: u16, to: (String, u16)) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .expect("the port");
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let to = to.clone();
            tokio::spawn(async move {
                if let Ok(mut far) = TcpStream::connect(to).await {
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_comes_up_spoiled_is_not_served_from() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    register(&*db.app().await, TENANT).await;
    let DatabaseUrl::Postgres(url) = &db.config.database else {
        unreachable!()
    };
    let (user, rest) = url.split_once('@').expect("a user");
    let (host, path) = rest.split_once('/').expect("a path");
    let (host, to) = host.split_once(':').expect("a port");
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a free port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let later = TestDb::other(&db, format!("{user}@127.0.0.1:{port}/{path}"));
    let server = TestServer::start(&later).await;
    db.execute("ALTER TABLE quarantine DISABLE ROW LEVEL SECURITY")
        .await;
    pass_on(port, (host.to_owned(), to.parse().expect("a port"))).await;
    for _ in 0..20 {
        let refused = ask(&server).await.expect_err("it was looked at first");
        assert_eq!(
            reason(&refused),
            (Code::Unavailable, "STORE_UNAVAILABLE".into())
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!server.app.is_fit());
    server::migrate(&db.config).await.expect("repaired");
    until_answered(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_found_while_it_serves_stops_it() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let server = TestServer::with_tenant(&db).await;
    ask(&server).await.expect("answered");
    db.execute("CREATE POLICY mine ON attribution USING (true)")
        .await;
    // as once a minute
    server
        .app
        .unfit(true)
        .await
        .expect("looked")
        .expect("it is found");
    let refused = ask(&server).await.expect_err("refused");
    assert_eq!(
        reason(&refused),
        (Code::Unavailable, "STORE_UNAVAILABLE".into())
    );
    assert!(refused.message().contains("log"), "{}", refused.message());
    server::migrate(&db.config).await.expect("repaired");
    until_answered(&server).await;
}
