//! One call: who makes it, by what, and whether that still holds.

use super::{Access, Callers, Certificate, Grant, Peer, Role, Rule, TokenHash, Who, now};
use crate::domain::{TenantId, Timestamp};
use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
    time::Duration,
};

/// What a call shows of its caller.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    token: Option<TokenHash>,
    certificate: Option<Arc<Certificate>>,
}

impl Shown {
    /// `authorization`: the value of the header, if there is one. One that is no token counts as
    /// a wrong token: who shows something is not taken for somebody who shows nothing.
    pub fn new(authorization: Option<&[u8]>, peer: Option<&Peer>) -> Self {
        let token = authorization.map(|value| {
            let text = std::str::from_utf8(value).unwrap_or_default();
            let scheme = text.get(..7).unwrap_or_default();
            let is_bearer = scheme.eq_ignore_ascii_case("bearer ");
            TokenHash::of(if is_bearer { text[7..].trim() } else { "" })
        });
        Self {
            token,
            certificate: peer.and_then(|peer| peer.certificate.clone()),
        }
    }
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Nobody knows who calls. Why, callers are not told: it would help to guess.
    Unknown,
    /// Of another role, or of none.
    Method { who: Option<Who> },
    /// No grant on a tenant that the request names, whether there is such a tenant or not.
    Tenant,
}

/// Who makes a call. It goes with the request; only what passed the check of its method has one.
#[derive(Clone, Debug)]
pub struct Caller {
    access: Arc<Access>,
    shown: Shown,
    rule: Option<&'static Rule>,
    grant: Arc<Grant>,
}

/// Of who may do everything.
static EVERYTHING: LazyLock<Arc<Grant>> = LazyLock::new(|| {
    Arc::new(Grant {
        name: "everybody".into(),
        roles: Role::ALL.to_vec(),
        tenants: None,
    })
});

impl Access {
    /// Who makes this call, if it is one that may.
    pub fn admit(
        self: &Arc<Self>,
        rule: Option<&'static Rule>,
        shown: Shown,
    ) -> Result<Caller, Denied> {
        let (grant, _) = self.current(rule, &shown)?;
        Ok(Caller {
            access: Arc::clone(self),
            shown,
            rule,
            grant,
        })
    }

    /// What it is granted now, and until when if that is known.
    fn current(
        &self,
        rule: Option<&'static Rule>,
        shown: &Shown,
    ) -> Result<(Arc<Grant>, Option<Timestamp>), Denied> {
        let Self::Listed(table) = self else {
            return Ok((Arc::clone(&EVERYTHING), None));
        };
        let (grant, until) = identify(&table.borrow(), shown).ok_or(Denied::Unknown)?;
        match rule {
            Some(rule) if rule.allows(&grant.roles) => Ok((grant, until)),
            rule => {
                tracing::info!(
                    caller = grant.name,
                    method = rule.map_or("unknown", |rule| rule.method),
                    "refused: not for its roles"
                );
                let who = rule.map(|rule| rule.who);
                Err(Denied::Method { who })
            }
        }
    }
}

/// A token decides, and a certificate where there is none. If both are known, they must be the
/// same caller's: a token is of no use to another one.
fn identify(callers: &Callers, shown: &Shown) -> Option<(Arc<Grant>, Option<Timestamp>)> {
    let now = now();
    let certificate = shown.certificate.as_deref();
    let of_certificate = certificate.and_then(|it| callers.with_certificate(it, now));
    let Some(token) = &shown.token else {
        let until = certificate.map(|it| it.not_after);
        return Some((Arc::clone(of_certificate?), until));
    };
    let (of_token, until) = callers.with_token(token, now)?;
    let is_one = of_certificate.is_none_or(|other| Arc::ptr_eq(other, of_token));
    is_one.then(|| (Arc::clone(of_token), until))
}

impl Caller {
    /// Of a handler that nothing stands before: it may nothing.
    pub fn nobody() -> Self {
        let nobody = Grant {
            name: "nobody".into(),
            roles: Vec::new(),
            tenants: Some(BTreeSet::new()),
        };
        Self {
            access: Arc::new(Access::listed(Callers::default())),
            shown: Shown::default(),
            rule: None,
            grant: Arc::new(nobody),
        }
    }

    pub fn name(&self) -> &str {
        &self.grant.name
    }

    /// Those that it has a grant on. `None`: all.
    pub fn tenants(&self) -> Option<&BTreeSet<TenantId>> {
        self.grant.tenants.as_ref()
    }

    pub fn may_act_on(&self, tenant: TenantId) -> bool {
        self.tenants()
            .is_none_or(|tenants| tenants.contains(&tenant))
    }

    /// The same caller as it is by now: of a stream that may last.
    pub fn again(&self) -> Result<Self, Denied> {
        let (grant, _) = self.access.current(self.rule, &self.shown)?;
        Ok(Self {
            grant,
            ..self.clone()
        })
    }
}

/// What a stream rests on while it lasts: its caller, and the tenants that it is about.
#[derive(Clone, Debug)]
pub struct Standing {
    caller: Caller,
    tenants: Vec<TenantId>,
}

/// How long the clock is trusted to go on as it does.
const LONGEST_NAP: Duration = Duration::from_secs(60);

impl Standing {
    pub fn new(caller: Caller, tenants: Vec<TenantId>) -> Self {
        Self { caller, tenants }
    }

    /// Ends when the caller may no longer do what it does.
    pub async fn lost(&self) -> Denied {
        let Access::Listed(table) = self.caller.access.as_ref() else {
            return std::future::pending().await;
        };
        let mut table = table.subscribe();
        loop {
            let until = match self.now() {
                Ok(until) => until,
                Err(denied) => return denied,
            };
            let left = until.map(|until| until.micros() - now().micros());
            let left = left.map(|left| Duration::from_micros(left.max(0).unsigned_abs()));
            tokio::select! {
                _ = table.changed() => {}
                () = tokio::time::sleep(left.unwrap_or(LONGEST_NAP).min(LONGEST_NAP)) => {}
            }
        }
    }

    fn now(&self) -> Result<Option<Timestamp>, Denied> {
        let caller = &self.caller;
        let (grant, until) = caller.access.current(caller.rule, &caller.shown)?;
        let granted = grant.tenants.as_ref();
        let may = |tenant| granted.is_none_or(|granted| granted.contains(tenant));
        if self.tenants.iter().all(may) {
            Ok(until)
        } else {
            Err(Denied::Tenant)
        }
    }
}
