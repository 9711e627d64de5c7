//! The causes, one by one: what each means, what repairs it, and where Microsoft says so.
//! `docs/findings.md` is this table for people; a test holds them together.

use super::Cause;

/// Pages of Microsoft's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    UnifiedAuditLog,
    MailboxAuditing,
    AuditScenarios,
    SetMailbox,
    AuditBypass,
    RecipientPermission,
    MultiGeo,
    SharedMailboxes,
    ActivityApi,
    ActivityApiStart,
    ActivityApiTrouble,
}

impl Page {
    pub fn url(self) -> &'static str {
        match self {
            Self::UnifiedAuditLog => "https://learn.microsoft.com/purview/audit-log-enable-disable",
            Self::MailboxAuditing => "https://learn.microsoft.com/purview/audit-mailboxes",
            Self::AuditScenarios => {
                "https://learn.microsoft.com/purview/audit-troubleshooting-scenarios"
            }
            Self::SetMailbox => {
                "https://learn.microsoft.com/powershell/module/exchange/set-mailbox"
            }
            Self::AuditBypass => {
                "https://learn.microsoft.com/powershell/module/exchange/set-mailboxauditbypassassociation"
            }
            Self::RecipientPermission => {
                "https://learn.microsoft.com/powershell/module/exchange/add-recipientpermission"
            }
            Self::MultiGeo => {
                "https://learn.microsoft.com/microsoft-365/enterprise/multi-geo-capabilities-in-exchange-online"
            }
            Self::SharedMailboxes => {
                "https://learn.microsoft.com/microsoft-365/admin/email/about-shared-mailboxes"
            }
            Self::ActivityApi => {
                "https://learn.microsoft.com/office/office-365-management-api/office-365-management-activity-api-reference"
            }
            Self::ActivityApiStart => {
                "https://learn.microsoft.com/office/office-365-management-api/get-started-with-office-365-management-apis"
            }
            Self::ActivityApiTrouble => {
                "https://learn.microsoft.com/office/office-365-management-api/troubleshooting-the-office-365-management-activity-api"
            }
        }
    }
}

/// `{mailbox}` and `{agent}` stand for the names of the subject, quoted.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub name: &'static str,
    /// What shows it.
    pub sources: &'static str,
    pub severities: &'static str,
    /// One sentence.
    pub meaning: &'static str,
    /// "It cannot be told whether …"
    pub question: &'static str,
    pub commands: &'static [&'static str],
    pub advice: &'static str,
    /// What tells where it cannot be told.
    pub check: &'static [&'static str],
    pub page: Page,
}

const WHOLE_LISTS: &str = "$FormatEnumerationLimit = -1";

const MAILBOX_CHECK: &[&str] = &[
    WHOLE_LISTS,
    "Get-Mailbox -Identity {mailbox} | Format-List PrimarySmtpAddress,RecipientTypeDetails,\
     MailboxRegion,AuditEnabled,AuditLogAgeLimit,DefaultAuditSet,AuditDelegate,AuditOwner,\
     GrantSendOnBehalfTo",
];

const PAIR_CHECK: &[&str] = &[
    WHOLE_LISTS,
    "Get-Mailbox -Identity {mailbox} | Format-List PrimarySmtpAddress,RecipientTypeDetails,\
     DefaultAuditSet,AuditDelegate",
    "Get-Mailbox -Identity {agent} | Format-List PrimarySmtpAddress,RecipientTypeDetails,\
     DefaultAuditSet,AuditOwner",
    "Get-MailboxAuditBypassAssociation -Identity {agent} | Format-List Identity,AuditBypassEnabled",
];

impl Cause {
    pub fn row(self) -> Row {
        match self {
            Self::UnifiedAuditLogOff | Self::OrganizationAuditDisabled | Self::AuditBypassed => {
                self.of_the_log()
            }
            Self::SharedSendAsNotAudited
            | Self::SharedSendOnBehalfNotAudited
            | Self::AgentSendNotAudited => self.of_actions(),
            Self::AuditNotEnabled
            | Self::NoRetention
            | Self::KindNotAudited
            | Self::RegionsDiffer => self.of_mailboxes(),
            Self::SharedAccountSends
            | Self::ApplicationSends
            | Self::AgentWithoutSendAs
            | Self::SendAsAndSendOnBehalf => self.of_senders(),
            Self::ConsentRevoked
            | Self::PermissionMissing
            | Self::NoSubscription
            | Self::ContentExpired
            | Self::CollectorFails => self.of_the_collector(),
            Self::SideWentSilent | Self::AgentSideNeverSeen => self.of_sides(),
        }
    }

    fn of_the_log(self) -> Row {
        match self {
            Self::UnifiedAuditLogOff => Row {
                name: "UNIFIED_AUDIT_LOG_OFF",
                sources: "settings, feed",
                severities: "ERROR; UNKNOWN",
                meaning: "Nothing is written into the audit log, so no message is attributed.",
                question: "the unified audit log is on",
                commands: &["Set-AdminAuditLogConfig -UnifiedAuditLogIngestionEnabled $true"],
                advice: "Check in Exchange Online PowerShell: in Security & Compliance PowerShell \
                         UnifiedAuditLogIngestionEnabled is always False. The change takes up to \
                         60 minutes.",
                check: &["Get-AdminAuditLogConfig | Format-List UnifiedAuditLogIngestionEnabled"],
                page: Page::UnifiedAuditLog,
            },
            Self::OrganizationAuditDisabled => Row {
                name: "ORGANIZATION_AUDIT_DISABLED",
                sources: "settings, feed",
                severities: "ERROR; UNKNOWN",
                meaning: "Mailbox auditing is off for the whole organisation, so neither side \
                          writes an event.",
                question: "mailbox auditing is on for the organisation",
                commands: &["Set-OrganizationConfig -AuditDisabled $false"],
                advice: "While it is off, what single mailboxes have set does not count.",
                check: &["Get-OrganizationConfig | Format-List AuditDisabled"],
                page: Page::MailboxAuditing,
            },
            _ => Row {
                name: "AUDIT_BYPASSED",
                sources: "settings, feed",
                severities: "ERROR; INFO for who sends from no shared mailbox; UNKNOWN",
                meaning: "Nothing that this account does is logged in any mailbox, so none of its \
                          messages is attributed.",
                question: "this account is exempt from auditing",
                commands: &[
                    "Set-MailboxAuditBypassAssociation -Identity {agent} -AuditBypassEnabled $false",
                ],
                advice: "",
                check: &[
                    "Get-MailboxAuditBypassAssociation -Identity {agent} | Format-List \
                     Identity,AuditBypassEnabled",
                ],
                page: Page::AuditBypass,
            },
        }
    }

    fn of_actions(self) -> Row {
        match self {
            Self::SharedSendAsNotAudited => Row {
                name: "SHARED_SEND_AS_NOT_AUDITED",
                sources: "settings, feed",
                severities: "ERROR; WARNING if the side of every agent makes up for it; UNKNOWN",
                meaning: "The shared mailbox does not log who sends as it.",
                question: "the shared mailbox logs who sends as it",
                commands: &["Set-Mailbox -Identity {mailbox} -AuditDelegate @{Add=\"SendAs\"}"],
                advice: "Or follow Microsoft's defaults from now on: \
                         Set-Mailbox -Identity {mailbox} -DefaultAuditSet Admin,Delegate,Owner",
                check: MAILBOX_CHECK,
                page: Page::MailboxAuditing,
            },
            Self::SharedSendOnBehalfNotAudited => Row {
                name: "SHARED_SEND_ON_BEHALF_NOT_AUDITED",
                sources: "settings, feed",
                severities: "WARNING; UNKNOWN",
                meaning: "The shared mailbox does not log who sends on its behalf; whoever has \
                          Send As is not affected.",
                question: "the shared mailbox logs who sends on its behalf",
                commands: &[
                    "Set-Mailbox -Identity {mailbox} -AuditDelegate @{Add=\"SendOnBehalf\"}",
                ],
                advice: "Or follow Microsoft's defaults from now on: \
                         Set-Mailbox -Identity {mailbox} -DefaultAuditSet Admin,Delegate,Owner",
                check: MAILBOX_CHECK,
                page: Page::MailboxAuditing,
            },
            _ => Row {
                name: "AGENT_SEND_NOT_AUDITED",
                sources: "settings, feed",
                severities: "WARNING; ERROR if the side of a shared mailbox is missing too; UNKNOWN",
                meaning: "The agent's own mailbox does not log what the agent sends.",
                question: "the agent's own mailbox logs what the agent sends",
                commands: &["Set-Mailbox -Identity {agent} -AuditOwner @{Add=\"Send\"}"],
                advice: "Send is an action of the owner only where the agent's licence has it; \
                         without that the command is refused, and the mailbox side alone must do. \
                         Or follow Microsoft's defaults from now on: \
                         Set-Mailbox -Identity {agent} -DefaultAuditSet Admin,Delegate,Owner",
                check: MAILBOX_CHECK,
                page: Page::MailboxAuditing,
            },
        }
    }

    fn of_mailboxes(self) -> Row {
        match self {
            Self::AuditNotEnabled => Row {
                name: "AUDIT_NOT_ENABLED",
                sources: "settings, feed",
                severities: "WARNING; UNKNOWN",
                meaning: "Auditing is not enabled for this mailbox itself: its events may stay out \
                          of the unified audit log.",
                question: "auditing is enabled for this mailbox itself: True is shown for every \
                           mailbox while it is on by default",
                commands: &["Set-Mailbox -Identity {mailbox} -AuditEnabled $true"],
                advice: "If searches still find nothing, change it to $false and back to $true.",
                check: &[
                    "Get-Mailbox -ResultSize Unlimited -Filter {AuditEnabled -eq \"True\"} | \
                     Format-Table PrimarySmtpAddress",
                ],
                page: Page::AuditScenarios,
            },
            Self::NoRetention => Row {
                name: "NO_RETENTION",
                sources: "settings, feed",
                severities: "WARNING",
                meaning: "The mailbox keeps no audit entries: AuditLogAgeLimit is zero, which \
                          removes them all.",
                question: "the mailbox keeps its audit entries",
                commands: &["Set-Mailbox -Identity {mailbox} -AuditLogAgeLimit 90.00:00:00"],
                advice: "What that does to the unified audit log is not documented.",
                check: MAILBOX_CHECK,
                page: Page::SetMailbox,
            },
            Self::KindNotAudited => Row {
                name: "KIND_NOT_AUDITED",
                sources: "settings, register",
                severities: "WARNING; INFO for a group",
                meaning: "Mailboxes of this kind are not audited: only the agents' side can tell \
                          who sent.",
                question: "mailboxes of this kind are audited",
                commands: &[],
                advice: "No setting changes that: let the team answer from a shared mailbox.",
                check: &[],
                page: Page::MailboxAuditing,
            },
            _ => Row {
                name: "REGIONS_DIFFER",
                sources: "settings",
                severities: "ERROR; UNKNOWN",
                meaning: "The agent's mailbox and the shared mailbox are in different regions, \
                          where Exchange writes no event on either side.",
                question: "the shared mailbox and its agents are in one region",
                commands: &[],
                advice: "No setting repairs it: move one mailbox to the region of the other, or \
                         give the agent Send on Behalf and not Send As, so that the mail itself \
                         names the agent.",
                check: &[
                    "Get-Mailbox -ResultSize Unlimited | Select-Object PrimarySmtpAddress,\
                     RecipientTypeDetails,MailboxRegion | ConvertTo-Json",
                ],
                page: Page::MultiGeo,
            },
        }
    }

    fn of_senders(self) -> Row {
        match self {
            Self::SharedAccountSends => Row {
                name: "SHARED_ACCOUNT_SENDS",
                sources: "evidence",
                severities: "ERROR",
                meaning: "Somebody signs in to the shared account itself and sends from it: the \
                          log names the account and no person.",
                question: "",
                commands: &[],
                advice: "Give each agent Full Access and Send As on {mailbox} instead, and block \
                         the sign-in of the shared account.",
                check: &[],
                page: Page::SharedMailboxes,
            },
            Self::ApplicationSends => Row {
                name: "APPLICATION_SENDS",
                sources: "evidence",
                severities: "INFO",
                meaning: "An application sends from the shared mailbox: such messages are \
                          nobody's.",
                question: "",
                commands: &[],
                advice: "Where agents answer through that application, let it send with their own \
                         sign-in (delegated permission) and not with its own.",
                check: &[],
                page: Page::SharedMailboxes,
            },
            Self::AgentWithoutSendAs => Row {
                name: "AGENT_WITHOUT_SEND_AS",
                sources: "settings, feed",
                severities: "WARNING",
                meaning: "The agent may not send as the shared mailbox: such mail goes out in the \
                          agent's own name, or not at all.",
                question: "",
                commands: &[
                    "Add-RecipientPermission -Identity {mailbox} -AccessRights SendAs -Trustee \
                     {agent} -Confirm:$false",
                ],
                advice: "Not if the permission was taken away on purpose.",
                check: &[],
                page: Page::RecipientPermission,
            },
            _ => Row {
                name: "SEND_AS_AND_SEND_ON_BEHALF",
                sources: "settings, feed",
                severities: "INFO",
                meaning: "The agent has Send As and Send on Behalf: Exchange uses Send As, so the \
                          mail itself does not name the agent, and only the audit log does.",
                question: "",
                commands: &[
                    "Remove-RecipientPermission -Identity {mailbox} -AccessRights SendAs -Trustee \
                     {agent} -Confirm:$false",
                ],
                advice: "Only if the mail itself must name the agent: attribution by the audit \
                         log works as it is.",
                check: &[],
                page: Page::RecipientPermission,
            },
        }
    }

    fn of_the_collector(self) -> Row {
        let row = Row {
            name: "COLLECTOR_FAILS",
            sources: "collector",
            severities: "ERROR",
            meaning: "Microsoft refuses to hand out the audit log, so nothing new arrives.",
            question: "",
            commands: &[],
            advice: "Repair what the code says; then fetch what was missed: Microsoft keeps it \
                     for 7 days.",
            check: &[],
            page: Page::ActivityApi,
        };
        match self {
            Self::ConsentRevoked => Row {
                name: "CONSENT_REVOKED",
                sources: "consent",
                meaning: "The tenant has withdrawn its consent: nothing is taken in.",
                advice: "An administrator of the tenant must consent again; then RegisterTenant \
                         with the new consented_at.",
                page: Page::ActivityApiStart,
                ..row
            },
            Self::PermissionMissing => Row {
                name: "PERMISSION_MISSING",
                meaning: "The application lacks the permission ActivityFeed.Read in this tenant, \
                          so nothing new arrives.",
                advice: "An administrator of the tenant must consent to ActivityFeed.Read; then \
                         fetch what was missed: Microsoft keeps it for 7 days.",
                page: Page::ActivityApiStart,
                ..row
            },
            Self::NoSubscription => Row {
                name: "NO_SUBSCRIPTION",
                meaning: "There is no subscription to Audit.Exchange, so nothing new arrives.",
                advice: "Start it: POST https://manage.office.com/api/v1.0/TENANT/activity/feed/\
                         subscriptions/start?contentType=Audit.Exchange. The first content comes \
                         within 12 hours.",
                ..row
            },
            Self::ContentExpired => Row {
                name: "CONTENT_EXPIRED",
                severities: "WARNING",
                meaning: "Content was fetched too late: Microsoft keeps it for 7 days, and a part \
                          of the log is missing here.",
                advice: "Fill the gap with an export: Search-UnifiedAuditLog, or the audit search \
                         of the Purview portal.",
                page: Page::ActivityApiTrouble,
                ..row
            },
            _ => row,
        }
    }

    fn of_sides(self) -> Row {
        match self {
            Self::SideWentSilent => Row {
                name: "SIDE_WENT_SILENT",
                sources: "evidence",
                severities: "WARNING",
                meaning: "One of the two sides has stopped to write events while the other goes \
                          on.",
                question: "",
                commands: PAIR_CHECK,
                advice: "Look what was changed about that time; or the agent changed the way of \
                         sending, and all is well.",
                check: &[],
                page: Page::MailboxAuditing,
            },
            _ => Row {
                name: "AGENT_SIDE_NEVER_SEEN",
                sources: "evidence",
                severities: "INFO",
                meaning: "The agent's own mailbox has never written an event: no answer is \
                          confirmed by a second side.",
                question: "",
                commands: PAIR_CHECK,
                advice: "Usual for agents whose licence does not log Send.",
                check: &[],
                page: Page::MailboxAuditing,
            },
        }
    }
}
