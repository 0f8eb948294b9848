//! What every gRPC tool expects of a server: health and reflection, asked with the clients of those standards,
//! as one in another language would, with the authority `localhost`.

use proxy_tests::daemon::{TestDaemon, channel};
use proxy_tests::fake_claude::FakeClaude;
use proxy_tests::wait::within;
use tokio_stream::{StreamExt as _, once};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

const SERVICES: [&str; 4] = [
    "proxy.control.v1.Accounts",
    "proxy.control.v1.Daemon",
    "proxy.control.v1.Keys",
    "proxy.control.v1.Logins",
];

#[tokio::test]
async fn health_is_told_of_the_whole_and_of_each_service() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let mut health = HealthClient::new(channel(daemon.control_socket()).await);
    for service in SERVICES.into_iter().chain([""]) {
        let asked = health.check(HealthCheckRequest { service: service.to_owned() }).await.unwrap();
        assert_eq!(asked.into_inner().status(), ServingStatus::Serving, "{service:?}");
    }
    let unknown = health.check(HealthCheckRequest { service: "no.such.Service".to_owned() }).await;
    assert_eq!(unknown.unwrap_err().code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn those_who_watch_the_health_are_told_when_the_daemon_stops() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let mut health = HealthClient::new(channel(daemon.control_socket()).await);
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let next = within("the health", watch.next()).await.unwrap().unwrap();
    assert_eq!(next.status(), ServingStatus::Serving);
    let (next, _home) = tokio::join!(within("the news", watch.next()), daemon.stop());
    assert_eq!(next.unwrap().unwrap().status(), ServingStatus::NotServing);
}

#[tokio::test]
async fn both_versions_of_reflection_describe_every_service() {
    let fake = FakeClaude::start().await;
    let daemon = TestDaemon::start(&fake).await;
    let channel = channel(daemon.control_socket()).await;

    let request = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(String::new())),
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let mut answers = client.server_reflection_info(once(request)).await.unwrap().into_inner();
    let answer = within("the services", answers.next()).await.unwrap().unwrap().message_response.unwrap();
    let v1::server_reflection_response::MessageResponse::ListServicesResponse(list) = answer else {
        panic!("{answer:?}")
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for service in SERVICES.into_iter().chain(["grpc.health.v1.Health"]) {
        assert!(names.contains(&service), "{service} in {names:?}");
    }

    let symbol = "proxy.control.v1.Accounts.ListAccounts".to_owned();
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
            symbol,
        )),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(once(request)).await.unwrap().into_inner();
    let answer = within("the file", answers.next()).await.unwrap().unwrap().message_response.unwrap();
    let v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse(files) = answer else {
        panic!("{answer:?}")
    };
    assert!(!files.file_descriptor_proto.is_empty());
}
