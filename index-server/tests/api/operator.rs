//! The operator's commands, and what makes an index refuse to start.

use std::fs::File;
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;
use std::time::Duration;

use choir_index::admin::{AskError, Request, ask};
use choir_index::settings::Access;
use choir_index::{RunError, run};
use choir_shared::control::FromIndex;
use choir_shared::identity::SecretKey;
use choir_shared::index_api::{ErrorCode, LibraryPage, PREFIX, Reported, SearchRow, Session, Sources};
use choir_shared::link::Link;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::http::send;
use crate::web_socket::{Control, Heard};
use crate::world::{World, song};

#[tokio::test]
async fn a_new_link_lets_a_new_member_in() {
    let world = World::start_with(|settings| settings.access = Access::Invite).await;
    let link = ask(&world.settings.data_dir, &Request::Link).await.unwrap();
    let Ok(Link::Join(join)) = link.parse() else { panic!("{link}") };
    assert_eq!(join.key, world.ready.join_link.key);
    assert_eq!(join.authority, world.address.to_string());
    assert_ne!(join.invite, world.ready.join_link.invite);
    let secret = SecretKey::from_seed(&[1; 32]);
    let _: Session = world.log_in(&secret, |login| login.invite = join.invite).await.json();

    let answer = ask(&world.settings.data_dir, &Request::Invite { uses: 1, days: 1, by: None }).await.unwrap();
    let (invite, _link) = answer.split_once('\n').unwrap();
    for (seed, expected) in [(2, 200), (3, 403)] {
        let secret = SecretKey::from_seed(&[seed; 32]);
        let answer = world.log_in(&secret, |login| login.invite = Some(invite.to_owned())).await;
        assert_eq!(answer.status, expected, "one invite, one member");
    }
}

#[tokio::test]
async fn a_banned_peer_is_out_at_once_and_until_the_ban_is_lifted() {
    let world = World::start().await;
    let anna = world.peer(1).await;
    let mut control = Control::online(&anna).await;
    let ban = Request::Ban { target: anna.id().to_string(), reason: "noise".into(), days: None };
    ask(&world.settings.data_dir, &ban).await.unwrap();
    assert!(matches!(control.hear().await, Heard::Closed(_)));
    assert_eq!(anna.get("/me").await.code(), ErrorCode::Banned);
    assert_eq!(world.log_in(&anna.secret, |_| {}).await.code(), ErrorCode::Banned);

    let world = world.restart().await;
    assert_eq!(world.log_in(&anna.secret, |_| {}).await.code(), ErrorCode::Banned, "also after a restart");
    let lift = Request::Unban { target: anna.id().to_string() };
    ask(&world.settings.data_dir, &lift).await.unwrap();
    assert_eq!(world.log_in(&anna.secret, |_| {}).await.status, 200);
    assert!(matches!(ask(&world.settings.data_dir, &lift).await, Err(AskError::Refused(_))));
}

async fn order(world: &World, request: Request) -> String {
    ask(&world.settings.data_dir, &request).await.unwrap()
}

#[tokio::test]
async fn who_is_banned_reads_why_and_a_banned_network_is_out_at_once() {
    let world = World::start().await;
    let anna = world.peer(1).await;
    let mut control = Control::online(&anna).await;
    let ban = Request::Ban { target: "127.0.0.0/8".into(), reason: "a flood".into(), days: Some(2) };
    order(&world, ban).await;
    assert!(matches!(control.hear().await, Heard::Closed(_)));
    let refused = anna.get("/me").await.problem();
    assert_eq!((refused.code, refused.detail.as_deref()), (ErrorCode::Banned, Some("a flood, for 2 more days")));
    assert!(order(&world, Request::Bans).await.starts_with("127.0.0.0/8  until "));
    order(&world, Request::Unban { target: "127.0.0.0/8".into() }).await;
    assert_eq!(anna.get("/me").await.status, 200);
    let audit = order(&world, Request::Audit { limit: 9 }).await;
    let (lifted, banned) = (audit.find("lifted the ban of 127.0.0.0/8"), audit.find("banned 127.0.0.0/8: a flood"));
    assert!(lifted.is_some() && lifted < banned, "{audit}");
}

#[tokio::test]
async fn what_is_blocked_is_nowhere_and_its_holders_are_told() {
    let world = World::start().await;
    let (mut anna, bert) = (world.peer(1).await, world.peer(2).await);
    anna.publish(&["Moby Dick", "Ishmael"]).await;
    let mut control = Control::online(&anna).await;
    bert.find("moby").await;

    let (file, reason) = (song("Moby Dick"), "the whale objects".to_owned());
    let block = Request::Block { kind: "phrase".into(), value: "MOBY dick".into(), reason: reason.clone() };
    assert_eq!(order(&world, block).await, "blocked phrase moby dick: 1 more file is hidden");
    let told = FromIndex::Blocked { files: vec![file], count: 1, reason: reason.clone() };
    assert_eq!(control.message().await, told);
    assert_eq!(bert.search("moby").await.results, []);
    assert_eq!(bert.search("ishmael").await.results.len(), 1);
    let refused = bert.get(&format!("/files/{file}")).await.problem();
    assert_eq!((refused.code, refused.detail), (ErrorCode::Blocked, Some(reason)));
    let sources: Sources = bert.get(&format!("/files/{file}/sources")).await.json();
    assert_eq!(sources.sources, []);
    assert_eq!(bert.introduction(&anna, file).await.code(), ErrorCode::Blocked);
    let browse = format!("/peers/{}/library?folder=Music/Mixed", anna.id());
    let seen: LibraryPage = bert.get(&browse).await.json();
    assert_eq!(seen.files.iter().map(|row| row.file_id).collect::<Vec<_>>(), [song("Ishmael")]);
    let own: LibraryPage = anna.get(&browse).await.json();
    assert_eq!(own.files.len(), 2, "it stays in its holder's library");

    let world = world.restart().await;
    let [mut anna, mut bert] = [anna, bert];
    (anna.address, bert.address) = (world.address, world.address);
    let mut control = Control::online(&anna).await;
    assert_eq!(control.message().await, told, "also after a restart");
    bert.find("ishmael").await;
    assert_eq!(bert.search("moby").await.results, []);

    order(&world, Request::Unblock { kind: "phrase".into(), value: "moby dick".into() }).await;
    assert_eq!(bert.find("moby").await.results.len(), 1);
    let _: SearchRow = bert.get(&format!("/files/{file}")).await.json();
    let again = Request::Unblock { kind: "phrase".into(), value: "moby dick".into() };
    assert!(matches!(ask(&world.settings.data_dir, &again).await, Err(AskError::Refused(_))));
}

#[tokio::test]
async fn what_is_published_while_it_is_blocked_is_never_found() {
    let world = World::start().await;
    let (mut anna, bert) = (world.peer(1).await, world.peer(2).await);
    let mut control = Control::online(&anna).await;
    order(&world, Request::Block { kind: "file".into(), value: song("One").to_string(), reason: String::new() }).await;
    anna.publish(&["One", "Two"]).await;
    let told = FromIndex::Blocked { files: vec![song("One")], count: 1, reason: String::new() };
    assert_eq!(control.message().await, told);
    bert.find("two").await;
    assert_eq!(bert.search("one").await.results, []);
}

#[tokio::test]
async fn an_album_may_be_named_by_a_file_of_it_that_the_index_knows() {
    let world = World::start().await;
    let block = |value: String| Request::Block { kind: "album".into(), value, reason: String::new() };
    for value in ["x".to_owned(), song("Unknown").to_string()] {
        let refused = ask(&world.settings.data_dir, &block(value)).await;
        assert!(matches!(refused, Err(AskError::Refused(_))), "{refused:?}");
    }
    assert_eq!(order(&world, Request::Blocks).await, "nothing is blocked");
}

#[tokio::test]
async fn reports_wait_for_the_operator() {
    let world = World::start().await;
    let (anna, bert) = (world.peer(1).await, world.peer(2).await);
    let file = song("Noise");
    let report =
        serde_json::json!({"file": file, "peer": bert.id(), "reason": "fake", "details": "it is \u{1b}[31m noise"});
    let first: Reported = anna.post("/reports", &report).await.json();
    let again: Reported = anna.post("/reports", &report).await.json();
    assert_eq!(first, again);
    let listed = order(&world, Request::Reports { all: false }).await;
    assert!(listed.contains(&file.to_string()) && listed.contains(&anna.id().to_string()), "{listed}");
    assert!(!listed.contains('\u{1b}'), "no stranger speaks to the terminal");
    for (wrong, code) in [
        (serde_json::json!({"reason": "fake"}), ErrorCode::BadRequest),
        (serde_json::json!({"file": file, "reason": "fake", "details": "x".repeat(1001)}), ErrorCode::TooLarge),
    ] {
        assert_eq!(anna.post("/reports", &wrong).await.code(), code);
    }
    order(&world, Request::CloseReport { no: first.report, outcome: "blocked".into() }).await;
    assert_eq!(order(&world, Request::Reports { all: false }).await, "no report waits");
    assert!(order(&world, Request::Reports { all: true }).await.ends_with("closed: blocked"));
}

#[tokio::test]
async fn a_branch_is_banned_with_all_who_came_through_it() {
    let world = World::start_with(|settings| settings.access = Access::Invite).await;
    let secret = |seed| SecretKey::from_seed(&[seed; 32]);
    let join = async |seed, by: Option<u8>| {
        let by = by.map(|seed| secret(seed).peer_id().to_string());
        let answer = order(&world, Request::Invite { uses: 1, days: 1, by }).await;
        let invite = answer.split_once('\n').unwrap().0.to_owned();
        let _: Session = world.log_in(&secret(seed), |login| login.invite = Some(invite)).await.json();
    };
    join(1, None).await;
    join(2, Some(1)).await;
    join(3, Some(2)).await;
    join(4, None).await;
    let members = order(&world, Request::Members).await;
    assert!(members.lines().nth(1).unwrap().ends_with(&format!("by {}", secret(1).peer_id())), "{members}");

    let peer = secret(2).peer_id().to_string();
    let by = Some(secret(3).peer_id().to_string());
    let answer = order(&world, Request::Invite { uses: 1, days: 1, by }).await;
    let invite = Some(answer.split_once('\n').unwrap().0.to_owned());
    order(&world, Request::BanBranch { peer, reason: String::new(), days: None }).await;
    for (seed, expected) in [(1, 200), (2, 403), (3, 403), (4, 200)] {
        assert_eq!(world.log_in(&secret(seed), |_| {}).await.status, expected, "{seed}");
    }

    let refused = world.log_in(&secret(5), |login| login.invite = invite.clone()).await.problem();
    let told = (refused.code, refused.detail.as_deref());
    assert_eq!(told, (ErrorCode::InviteInvalid, Some("whoever made the invite is banned")));
    assert!(order(&world, Request::Invites).await.contains("who is banned"));
    order(&world, Request::Unban { target: secret(3).peer_id().to_string() }).await;
    assert_eq!(world.log_in(&secret(5), |login| login.invite = invite).await.status, 200);
}

#[tokio::test]
async fn one_member_may_be_allowed_more_or_less_than_all_others() {
    let world = World::start_with(|settings| {
        settings.limits.files_per_peer = 2;
        settings.limits.changes_per_minute = NonZeroU32::new(5).unwrap();
    })
    .await;
    let (mut anna, mut bert) = (world.peer(1).await, world.peer(2).await);
    order(&world, Request::Rename { peer: anna.id().to_string(), name: "Anna".into() }).await;
    let quota = |files, changes: Option<u32>| Request::SetQuota {
        peer: "anna".into(),
        files,
        changes_per_minute: changes.and_then(NonZeroU32::new),
    };
    let three = ["One", "Two", "Three"];
    assert_eq!(order(&world, quota(Some(3), None)).await, format!("the quota of {}: at most 3 files", anna.id()));
    assert_eq!(anna.publish(&three).await.count, 3);
    let set = bert.change(&three);
    assert_eq!(bert.post("/library/changes", &set).await.code(), ErrorCode::QuotaExceeded, "nobody else's");

    let world = world.restart().await;
    (anna.address, bert.address) = (world.address, world.address);
    order(&world, quota(None, Some(9))).await;
    let both = "at most 3 files and 9 change sets a minute";
    assert_eq!(order(&world, Request::Quota { peer: "Anna".into() }).await, format!("{}  {both}", anna.id()));
    let members = order(&world, Request::Members).await;
    let (hers, his) = members.split_once('\n').unwrap();
    assert!(hers.ends_with(both) && his.ends_with("without an invite"), "{members}");
    let set = anna.change(&["Four"]);
    for (sender, sets) in [(&anna, 9), (&bert, 5)] {
        for _ in 0..sets {
            assert_eq!(sender.post("/library/changes", &set).await.status / 100, 4, "too many files, or of another");
        }
        assert_eq!(sender.post("/library/changes", &set).await.code(), ErrorCode::RateLimited, "{sets}");
    }

    order(&world, Request::ResetQuota { peer: "anna".into() }).await;
    assert!(order(&world, Request::Quota { peer: "anna".into() }).await.ends_with("as the settings say"));
    let refused = anna.post("/library/changes", &set).await.problem();
    assert_eq!((refused.code, refused.detail.as_deref()), (ErrorCode::QuotaExceeded, Some("at most 2 files")));
    let audit = order(&world, Request::Audit { limit: 9 }).await;
    assert!(audit.contains(&format!("quota of {}: {both}", anna.id())), "{audit}");
}

#[tokio::test]
async fn the_operator_names_exports_and_erases_members_and_says_the_message_of_the_day() {
    let world = World::start_with(|settings| settings.description.message_of_the_day = Some("hello".into())).await;
    let mut anna = world.peer(1).await;
    anna.publish(&["One"]).await;
    assert_eq!(world.info().await.message_of_the_day.as_deref(), Some("hello"));
    order(&world, Request::MessageOfTheDay { text: Some("closed on Friday".into()) }).await;
    order(&world, Request::Rename { peer: anna.id().to_string(), name: "Anna".into() }).await;
    assert_eq!(order(&world, Request::Name { peer: "anna".into() }).await, format!("{}  Anna", anna.id()));
    let export = order(&world, Request::Export { peer: "Anna".into() }).await;
    assert!(export.contains(&song("One").to_string()), "{export}");
    order(&world, Request::FreeName { peer: "Anna".into() }).await;
    let nobody = ask(&world.settings.data_dir, &Request::Erase { peer: "Anna".into() }).await;
    assert!(matches!(nobody, Err(AskError::Refused(_))));
    order(&world, Request::Erase { peer: anna.id().to_string() }).await;
    assert_eq!(anna.get("/me").await.code(), ErrorCode::NotLoggedIn);

    let world = world.restart().await;
    assert_eq!(world.info().await.message_of_the_day.as_deref(), Some("closed on Friday"));
    order(&world, Request::MessageOfTheDay { text: Some(String::new()) }).await;
    assert_eq!(world.info().await.message_of_the_day, None, "what was said wins over the settings");
    let audit = order(&world, Request::Audit { limit: 9 }).await;
    for done in ["message of the day", "named", "exported", "took the name", "erased"] {
        assert!(audit.contains(done), "{done} in {audit}");
    }
}

#[tokio::test]
async fn the_door_is_for_the_owner_of_the_folder_and_closed_when_nothing_runs() {
    let world = World::start().await;
    let socket = world.settings.data_dir.join("admin.sock");
    assert_eq!(std::fs::metadata(socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(&world.settings.data_dir).unwrap().permissions().mode() & 0o777, 0o700);
    let (_folder, settings) = world.stop().await;
    let asked = ask(&settings.data_dir, &Request::Link).await;
    assert!(matches!(asked, Err(AskError::NotRunning { .. })), "{asked:?}");
}

#[tokio::test]
async fn a_second_index_on_the_same_folder_or_port_is_refused() {
    let world = World::start().await;
    let start = |settings| run(settings, |_| panic!("it runs"), CancellationToken::new());
    let error = start(world.settings.clone()).await.unwrap_err();
    assert!(matches!(error, RunError::DataDir(_)), "{error}");

    let elsewhere = tempfile::tempdir().unwrap();
    let mut settings = world.settings.clone();
    settings.data_dir = elsewhere.path().join("other");
    settings.listen = vec![world.address];
    let error = start(settings).await.unwrap_err();
    assert!(error.to_string().contains(&world.address.to_string()), "{error}");
}

#[tokio::test]
async fn metrics_have_a_listener_of_their_own() {
    let world = World::start_with(|settings| settings.metrics = Some("127.0.0.1:0".parse().unwrap())).await;
    let _peer = world.peer(1).await;
    let answer = send(world.ready.metrics.unwrap(), "GET", "/metrics", &[], b"").await;
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains("choir_index_requests_total"), "{text}");
    assert_eq!(world.get("/metrics").await.status, 404);
}

#[tokio::test]
async fn the_openapi_document_describes_every_route_and_nothing_is_left_undefined() {
    let world = World::start().await;
    let document: serde_json::Value = world.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            let path = path.replace("{id}", "x").replace("{who}", "x").replace("{album_key}", "x");
            let answer = send(world.address, &method.to_uppercase(), &path, &[], b"").await;
            let needs_login = !operation["security"].is_null();
            assert_eq!(answer.status == 401, needs_login, "{method} {path}: {}", answer.status);
            assert!(answer.status != 404, "{method} {path}");
        }
    }
    let protocol = include_str!("../../../shared/PROTOCOL.md");
    let table = protocol.split_once("### 11.3").unwrap().1.split_once("### 11.4").unwrap().0;
    let told = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).count();
    let described: usize = paths.values().map(|methods| methods.as_object().unwrap().len()).sum();
    assert_eq!(described + 1, told, "and the document itself");
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn the_log_names_what_failed_or_took_long_by_its_id_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let file = Mutex::new(File::create(&path).unwrap());
    let log = tracing_subscriber::fmt().with_env_filter(EnvFilter::new("info")).with_writer(file).finish();
    // On all threads: a span that another test sees first, on a thread without a log, would be none for this one either.
    tracing::subscriber::set_global_default(log).unwrap();
    let world = World::start_with(|settings| settings.limits.uploads_at_once = 0).await;
    let mut anna = world.peer(1).await;
    let well = anna.get("/me").await;
    let set = anna.change(&["One"]);
    let failed = anna.post("/library/changes", &set).await;
    assert_eq!((well.status, failed.status), (200, 503));

    let mut slow = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "POST {PREFIX}/sessions HTTP/1.1\r\nHost: i\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    slow.write_all(b"}").await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    let (_, id) = answer.split_once("x-request-id: ").unwrap();

    let log = std::fs::read_to_string(&path).unwrap();
    let is_told = |id: &str| log.contains(id);
    assert!(is_told(&failed.headers["x-request-id"]) && is_told(id.lines().next().unwrap()), "{log}");
    assert!(!is_told(&well.headers["x-request-id"]), "{log}");
}
