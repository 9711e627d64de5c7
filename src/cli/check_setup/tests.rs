use super::*;
use crate::domain::settings::Property;

fn check(files: &[&str], shared: &[&str]) -> Read {
    let mut read = Read::default();
    let at = Timestamp::parse("2026-03-01T00:00:00");
    for file in files {
        read.file(file, at);
    }
    let shared: Vec<String> = shared.iter().map(|&one| one.into()).collect();
    read.name_the_unnamed(&shared);
    read
}

fn file(folder: &tempfile::TempDir, name: &str, content: &str) -> String {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[test]
fn a_setting_without_a_name_is_the_one_shared_mailbox() {
    let folder = tempfile::tempdir().unwrap();
    let one = file(
        &folder,
        "one.txt",
        "DefaultAuditSet : {Admin}\nAuditDelegate : {Update}\n",
    );
    let other = file(&folder, "other.txt", "AuditOwner : {Send}\n");
    let read = check(&[&one], &["support@contoso.com"]);
    assert_eq!(
        read.all.settings.mailboxes[0].called.name,
        "support@contoso.com"
    );
    assert_eq!(read.complaints, [""; 0]);
    // whose they are is not guessed
    for (files, shared) in [
        (
            vec![one.as_str(), other.as_str()],
            vec!["support@contoso.com"],
        ),
        (
            vec![one.as_str()],
            vec!["support@contoso.com", "sales@contoso.com"],
        ),
        (vec![one.as_str()], vec![]),
    ] {
        let read = check(&files, &shared);
        assert!(read.all.settings.mailboxes[0].called.name.is_empty());
        assert!(
            read.complaints[0].contains("without a name"),
            "{:?}",
            read.complaints
        );
    }
}

#[test]
fn what_cannot_be_read_is_told_by_file_and_object() {
    let folder = tempfile::tempdir().unwrap();
    let zip = file(&folder, "a.zip", "PK\u{3}\u{4}");
    let empty = file(&folder, "empty.json", "");
    let text = file(&folder, "text.txt", "hello\n");
    let good = file(
        &folder,
        "good.json",
        "[{\"AuditDisabled\": false}, {\"Colour\": 1}]",
    );
    let read = check(&[&zip, &empty, &text, &good, "/no/such/file"], &[]);
    let told = [
        "a.zip: not taken in: it is a ZIP",
        "empty.json: holds nothing",
        "text.txt: not taken in: neither settings",
        "good.json: object 2 is neither",
        "/no/such/file: cannot be read",
    ];
    assert_eq!(read.complaints.len(), told.len(), "{:?}", read.complaints);
    for (complaint, told) in read.complaints.iter().zip(told) {
        assert!(complaint.contains(told), "{complaint}");
    }
    let organization = &read.all.settings.organizations[0];
    assert_eq!(organization.audit_disabled, Property::Known(false));
    assert_eq!(organization.captured_at.to_string(), "2026-03-01T00:00:00Z");
}

#[test]
fn a_file_is_of_the_time_when_it_was_changed_last() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder, "a.json", "{}");
    let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_772_409_600_900);
    fs::File::open(&file).unwrap().set_modified(time).unwrap();
    assert_eq!(changed_at(&file).to_string(), "2026-03-02T00:00:00Z");
    assert!(changed_at("-").is_plausible());
}
