//! The one table of methods: who may call each, and how its request names tenants.

use std::{collections::HashMap, sync::LazyLock};

/// What a caller is there for. It may have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Registers tenants, their mailboxes and settings.
    Onboarding,
    /// Sends audit batches.
    Collector,
    /// Asks and watches.
    Reader,
    /// Looks after the deployment: repairs, deletes, erases.
    Operator,
}

impl Role {
    pub const ALL: [Self; 4] = [
        Self::Onboarding,
        Self::Collector,
        Self::Reader,
        Self::Operator,
    ];

    /// As in the callers file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Onboarding => "onboarding",
            Self::Collector => "collector",
            Self::Reader => "reader",
            Self::Operator => "operator",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Also who says nothing of itself: a probe has no token.
    Anybody,
    /// Everybody of the callers file.
    AnyCaller,
    /// Those with one of the roles.
    Roles(&'static [Role]),
}

/// How a request names tenants. The caller needs a grant on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// It is about none.
    None,
    /// In `tenant_id`.
    One,
    /// In `batch.tenant_id` of each message of the stream.
    EachBatch,
    /// In `tenant_id` of each of its `positions`.
    EachPosition,
    /// Not at all: the answer has those that the caller has a grant on.
    Granted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `package.Service/Method`
    pub method: &'static str,
    pub who: Who,
    pub named: Named,
}

impl Rule {
    /// A caller with these roles may.
    pub fn allows(&self, roles: &[Role]) -> bool {
        match self.who {
            Who::Anybody | Who::AnyCaller => true,
            Who::Roles(those) => those.iter().any(|role| roles.contains(role)),
        }
    }
}

const fn of(method: &'static str, roles: &'static [Role], named: Named) -> Rule {
    Rule {
        method,
        who: Who::Roles(roles),
        named,
    }
}

const fn open(method: &'static str, who: Who) -> Rule {
    Rule {
        method,
        who,
        named: Named::None,
    }
}

use Role::{Collector, Onboarding, Operator, Reader};

const ALL: &[Role] = &Role::ALL;

/// A method that is not in it is nobody's.
#[rustfmt::skip] // a table
pub const MATRIX: &[Rule] = &[
    of("sentby.v1.TenantService/RegisterTenant", &[Onboarding], Named::One),
    of("sentby.v1.TenantService/GetTenant", ALL, Named::One),
    of("sentby.v1.TenantService/ListTenants", ALL, Named::Granted),
    of("sentby.v1.TenantService/RevokeConsent", &[Onboarding, Operator], Named::One),
    of("sentby.v1.TenantService/DeleteTenant", &[Onboarding, Operator], Named::One),
    of("sentby.v1.TenantService/PutMailboxes", &[Onboarding], Named::One),
    of("sentby.v1.TenantService/ListMailboxes", &[Onboarding, Reader], Named::One),
    of("sentby.v1.IngestService/IngestAuditBatch", &[Collector], Named::One),
    of("sentby.v1.IngestService/StreamAuditBatches", &[Collector], Named::EachBatch),
    of("sentby.v1.IngestService/ListAuditBatches", &[Collector, Operator], Named::One),
    of("sentby.v1.IngestService/ListQuarantinedRecords", &[Collector, Operator], Named::One),
    of("sentby.v1.IngestService/RetryQuarantinedRecords", &[Collector, Operator], Named::One),
    of("sentby.v1.AttributionService/GetAttribution", &[Reader], Named::One),
    of("sentby.v1.AttributionService/LookupAttributions", &[Reader], Named::One),
    of("sentby.v1.AttributionService/ListAttributions", &[Reader], Named::One),
    of("sentby.v1.AttributionService/StreamAttributions", &[Reader], Named::One),
    of("sentby.v1.AttributionService/WatchAttributions", &[Reader], Named::EachPosition),
    of("sentby.v1.AttributionService/SummarizeAgents", &[Reader], Named::One),
    of("sentby.v1.AttributionService/ExplainAttribution", &[Reader, Operator], Named::One),
    of("sentby.v1.CoverageService/GetCoverage", ALL, Named::One),
    of("sentby.v1.CoverageService/ListFindings", &[Onboarding, Reader, Operator], Named::One),
    of("sentby.v1.CoverageService/CheckAuditSettings", &[Onboarding, Collector], Named::One),
    of("sentby.v1.AdminService/EraseAgent", &[Operator], Named::One),
    of("sentby.v1.AdminService/GetServerInfo", ALL, Named::None),
    open("grpc.health.v1.Health/Check", Who::Anybody),
    open("grpc.health.v1.Health/List", Who::Anybody),
    open("grpc.health.v1.Health/Watch", Who::Anybody),
    open("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Who::AnyCaller),
    open("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Who::AnyCaller),
];

/// Of a method, `package.Service/Method`.
pub fn rule(method: &str) -> Option<&'static Rule> {
    static BY_METHOD: LazyLock<HashMap<&'static str, &'static Rule>> =
        LazyLock::new(|| MATRIX.iter().map(|rule| (rule.method, rule)).collect());
    BY_METHOD.get(method).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_stands_once_and_has_somebody() {
        for rule in MATRIX {
            assert_eq!(super::rule(rule.method), Some(rule), "{}", rule.method);
            assert_ne!(rule.who, Who::Roles(&[]), "{}", rule.method);
        }
        for unknown in [
            "",
            "sentby.v1.TenantService/",
            "sentby.v1.TenantService/gettenant",
            "/sentby.v1.TenantService/GetTenant",
            "sentby.v1.TenantService/GetTenant/",
        ] {
            assert_eq!(super::rule(unknown), None, "{unknown}");
        }
    }
}
