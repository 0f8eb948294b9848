//! `config.watch`: a changed file is enough.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::time::Duration;

use proxy_tests::daemon::TestDaemon;
use proxy_tests::fake_claude::FakeClaude;
use proxy_tests::wait::within;

use super::daemon;

async fn until(daemon: &TestDaemon, key: &str, value: &str) {
    within("the change is in use", async {
        while daemon.configured(key).await != value {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_file_or_a_drop_in_that_changes_is_read() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "config.watch = true\n").await;
    daemon.configure("config.watch = true\npool.queue = 7\n");
    until(&daemon, "pool.queue", "7").await;
    // The directory of the drop-ins comes with the first of them.
    daemon.drop_in("10-a.toml", "pool.queue = 8\n");
    until(&daemon, "pool.queue", "8").await;
    daemon.drop_in("20-b.toml", "pool.queue = 9\n");
    until(&daemon, "pool.queue", "9").await;
    std::fs::remove_file(daemon.configuration_file().with_file_name("config.d").join("20-b.toml")).unwrap();
    until(&daemon, "pool.queue", "8").await;
    // A broken one changes nothing, and is read again once it is mended.
    daemon.drop_in("10-a.toml", "pool.queue = \n");
    daemon.drop_in("10-a.toml", "pool.queue = 10\n");
    until(&daemon, "pool.queue", "10").await;
}

#[tokio::test]
async fn files_behind_a_link_that_leads_elsewhere_now_are_read() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "config.watch = true\n").await;
    // As a cluster mounts them: each file leads through one hidden link to where all of them are at this time.
    let file = daemon.configuration_file();
    let dir = file.parent().unwrap();
    for (version, queue) in [("v1", 7), ("v2", 8)] {
        fs::create_dir(dir.join(version)).unwrap();
        let mut file = File::create(dir.join(version).join("config.toml")).unwrap();
        writeln!(file, "config.watch = true\npool.queue = {queue}").unwrap();
    }
    let put = |to: &str, name: &str| {
        symlink(to, dir.join(".new")).unwrap();
        fs::rename(dir.join(".new"), dir.join(name)).unwrap();
    };
    put("v1", "..data");
    put("..data/config.toml", "config.toml");
    until(&daemon, "pool.queue", "7").await;
    put("v2", "..data");
    until(&daemon, "pool.queue", "8").await;
}

#[tokio::test]
async fn it_is_switched_on_and_off_by_the_configuration_itself() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "").await;
    daemon.reconfigure("config.watch = true\n").await;
    daemon.configure("config.watch = false\npool.queue = 7\n");
    until(&daemon, "config.watch", "false").await;
    daemon.configure("pool.queue = 8\n");
    // Nobody looks: what is asked for finds the change still to be made.
    assert_eq!(daemon.reload().await.changes.len(), 1);
}
