//! `check-setup --tenant`: what is read goes to the server, which judges all that it knows.

use super::{
    super::{
        Outcome, Usage,
        client::{Api, Need, answer, request},
        findings::{self, report},
        import::input::{Input, unreadable},
        show,
    },
    CheckSetup, MAX_TOLD, Read, changed_at,
};
use crate::{
    config::Config,
    domain::TenantId,
    grpc::MAX_MESSAGE_BYTES,
    pb::{
        CheckAuditSettingsRequest, CheckAuditSettingsResponse, ErrorReason, ListFindingsRequest,
        SetupCounts,
    },
};
use std::io::{self, Read as _, Write as _};

/// Bytes of the rest of a request, and more.
const REST: usize = 1_024;

impl CheckSetup {
    pub(super) async fn send(self, tenant: TenantId, config: Config) -> anyhow::Result<Outcome> {
        if !self.shared.is_empty() {
            let why = "--shared goes with no --tenant: register it (sentby import --shared)";
            return Err(Usage(why.into()).into());
        }
        let api = self.target.connect(&config, Need::Existing).await?;
        let (mut read, mut complaints) = (SetupCounts::default(), Vec::new());
        let mut revision = 0;
        for name in &self.files {
            let input = Input::of(name);
            match self.send_file(&api, tenant, &input).await? {
                Ok(checked) => {
                    add(&mut read, checked.counts.unwrap_or_default());
                    complain(&mut complaints, input.title(), &checked);
                    revision = checked.revision;
                }
                Err(why) => complaints.push(format!("{}: {why}", input.title())),
            }
        }
        let asked = ListFindingsRequest {
            tenant_id: tenant.to_string(),
            at_least_revision: revision,
            ..Default::default()
        };
        let (found, _) = findings::all(&api, asked).await?;
        let text = if self.json {
            report::json(&found)?
        } else {
            let settings = read.mailboxes + read.organizations + read.bypasses + read.permissions;
            let read = Read::words(settings, read.admin_changes, read.other_records);
            report::words(&found, true, &read)
        };
        if !text.is_empty() {
            writeln!(io::stdout(), "{text}")?;
        }
        for line in &complaints {
            eprintln!("{line}");
        }
        Ok(if found.is_empty() && complaints.is_empty() {
            Outcome::Done
        } else {
            Outcome::No
        })
    }

    /// Fails where no other file can do better; else the file may be refused, with why.
    async fn send_file(
        &self,
        api: &Api,
        tenant: TenantId,
        input: &Input,
    ) -> anyhow::Result<Result<CheckAuditSettingsResponse, String>> {
        let content = match content(input) {
            Ok(content) => content,
            Err(why) => return Ok(Err(why)),
        };
        let captured_at = self.captured_at.unwrap_or_else(|| changed_at(&input.name));
        let message = CheckAuditSettingsRequest {
            tenant_id: tenant.to_string(),
            content,
            captured_at: Some(show::moment(captured_at)),
            validate_only: false,
        };
        let checked = api.coverage().check_audit_settings(request(message)).await;
        match answer(checked) {
            Ok(checked) => Ok(Ok(checked)),
            Err(refused) if refused.reason() == Some(ErrorReason::ContentNotRecognised) => {
                Ok(Err(refused.to_string()))
            }
            Err(refused) => Err(refused.into()),
        }
    }
}

fn content(input: &Input) -> Result<Vec<u8>, String> {
    let (content, _) = input.open().map_err(|error| unreadable(&error))?;
    let most = MAX_MESSAGE_BYTES - REST;
    let mut bytes = Vec::new();
    let read = content.take(most as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(&error))?;
    if bytes.len() > most {
        return Err(
            "is larger than 4 MiB, which is all a call may have: export less at a time \
                    (some mailboxes, fewer properties)"
                .into(),
        );
    }
    Ok(bytes)
}

fn add(all: &mut SetupCounts, one: SetupCounts) {
    all.mailboxes += one.mailboxes;
    all.organizations += one.organizations;
    all.bypasses += one.bypasses;
    all.permissions += one.permissions;
    all.admin_changes += one.admin_changes;
    all.other_records += one.other_records;
}

fn complain(complaints: &mut Vec<String>, title: &str, checked: &CheckAuditSettingsResponse) {
    if checked.counts == Some(SetupCounts::default()) && checked.problems.is_empty() {
        complaints.push(format!("{title}: holds nothing"));
    }
    for problem in checked.problems.iter().take(MAX_TOLD) {
        complaints.push(match problem.number {
            0 => format!("{title}: {}", problem.detail),
            number => format!("{title}: object {number} {}", problem.detail),
        });
    }
    let more = checked.problems.len().saturating_sub(MAX_TOLD) as u64 + checked.problems_omitted;
    if more > 0 {
        let more = show::plural(more, "more object");
        complaints.push(format!("{title}: {more} could not be read"));
    }
}
