//! A small disk of one test, which gets full and has room again: a file system in memory, in a
//! namespace of its own. Whoever is to see it is started through it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Gone with the test, however that ends.
pub struct Disk {
    keeper: Child,
    folder: PathBuf,
}

impl Disk {
    /// Over this folder, of so many MiB. `None`, said aloud, where this user may mount nothing.
    pub fn over(folder: &Path, mib: u32) -> Option<Self> {
        let mut keeper = Command::new("setpriv");
        keeper.args(["--pdeathsig", "KILL", "unshare", "-m"]);
        if !is_root() {
            keeper.arg("-Ur");
        }
        // whoever enters begins in the folder of the one that keeps it
        let mount = format!("mount -t tmpfs -o size={mib}m,mode=777 none \"$0\" && cd \"$0\"");
        let script = format!("{mount} && echo mounted && exec sleep infinity");
        let mut keeper = keeper
            .args(["sh", "-c", &script])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("setpriv and unshare are there");
        let mut said = String::new();
        let output = keeper.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut said).expect("a line");
        let disk = Self {
            keeper,
            folder: folder.to_owned(),
        };
        if said != "mounted\n" {
            eprintln!("SKIPPED: what needs a small disk; this user may not mount one (unshare)");
            return None;
        }
        Some(disk)
    }

    /// A command that sees it, and begins in it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.keeper.id().to_string(), "-m", "-w"]);
        if !is_root() {
            command.args(["-U", "--preserve-credentials"]);
        }
        command.arg(program);
        command
    }

    fn shell(&self, script: &str) -> bool {
        let mut command = self.command("sh");
        let status = command.args(["-c", script]).stderr(Stdio::null()).status();
        status.expect("a shell").success()
    }

    /// To the last byte.
    pub fn fill(&self) {
        let filled = self.shell("cat /dev/zero > filler");
        assert!(!filled, "it has no end");
    }

    pub fn free(&self) {
        assert!(self.shell("rm -f filler"), "removed");
    }

    /// Of a file on it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}
