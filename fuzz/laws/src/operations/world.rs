//! The few hosts, paths, networks and times that inputs are made of, so that they meet often.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use edge_filter::{
    Action, CanonicalPath, ClientNet, Conditions, Host, List, Lists, NEVER, Operation, Origin,
    ParameterSegments, Provenance, Request, Resource, Rule, Settings, Status, Target,
};

const NETS: [&str; 12] = [
    "192.0.2.1",
    "192.0.2.0/24",
    "192.0.2.0/28",
    "192.0.0.0/16",
    "0.0.0.0/0",
    "::ffff:192.0.2.77",
    "2001:db8::1",
    "2001:db8::/120",
    "2001:db8::/64",
    "2001:db8::/32",
    "2001:db8::2",
    "::/0",
];

pub(super) const ADDRESSES: [&str; 8] = [
    "192.0.2.1",
    "::ffff:192.0.2.1",
    "192.0.2.77",
    "192.0.9.9",
    "198.51.100.1",
    "2001:db8::1",
    "2001:db8::2",
    "2001:db8:1::1",
];

const HOSTS: [&str; 2] = ["a.example", "b.example"];
const PATHS: [&str; 6] = ["/", "/a", "/a/", "/a/b", "/ab", "/a/b/c"];

/// A host and path as sent, and their canonical form.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) raw: &'static str,
    pub(super) host: &'static str,
    pub(super) path: &'static str,
}

const fn base(raw: &'static str, host: &'static str, path: &'static str) -> Base {
    Base { raw, host, path }
}

pub(super) const BASES: &[Base] = &[
    base("a.example/", "a.example", "/"),
    base("a.example/a", "a.example", "/a"),
    base("A.Example:80//a/", "a.example", "/a/"),
    base("a.example/%61/b", "a.example", "/a/b"),
    base("a.example/a/./b/c", "a.example", "/a/b/c"),
    base("a.example/a/x/../x", "a.example", "/a/x"),
    base("a.example/ab", "a.example", "/ab"),
    base("b.example./a", "b.example", "/a"),
    base("b.example/a/b/d", "b.example", "/a/b/d"),
    base("c.example/a/b", "c.example", "/a/b"),
    base("/a", "", "/a"),
];

/// A request that is checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) base: &'static Base,
    pub(super) query: &'static str,
    pub(super) method: &'static str,
    pub(super) anonymous: bool,
    pub(super) client: Option<&'static str>,
}

impl Asked {
    pub(super) fn request(&self) -> Request<'static> {
        let (host, path) = self.base.raw.split_at(self.base.raw.find('/').expect("every base has a path"));
        Request {
            host: host.as_bytes(),
            path: path.as_bytes(),
            query: self.query.as_bytes(),
            method: self.method.as_bytes(),
            anonymous: self.anonymous,
            client: self.client.map(|client| client.parse().unwrap()),
        }
    }
}

pub(super) fn asked(input: &mut Unstructured<'_>) -> Result<Asked> {
    Ok(Asked {
        base: input.choose(BASES)?,
        query: input.choose(&["", "id=1", "id=2&x", "id=2&id=1"])?,
        method: input.choose(&["GET", "POST"])?,
        anonymous: input.arbitrary()?,
        client: match input.choose_index(ADDRESSES.len() + 1)? {
            0 => None,
            at => Some(ADDRESSES[at - 1]),
        },
    })
}

/// Caps small enough to be met.
pub(super) fn settings(input: &mut Unstructured<'_>) -> Result<Settings> {
    Ok(Settings {
        max_rules: *input.choose(&[3, 8, 200])?,
        max_learned: input.int_in_range(0..=6)?,
        max_learned_per_host: input.int_in_range(1..=4)?,
        max_reason_bytes: 4,
        ..Settings::default()
    })
}

/// Time, and the ends that were given out already.
pub(super) struct World {
    now_s: u32,
    ends: BTreeSet<u32>,
    done: Vec<Operation>,
    targets: Vec<Target>,
    has_endless_lesson: bool,
}

impl Default for World {
    fn default() -> Self {
        Self {
            now_s: 1_000_000,
            ends: BTreeSet::new(),
            done: Vec::new(),
            targets: Vec::new(),
            has_endless_lesson: false,
        }
    }
}

impl World {
    pub(super) fn now_s(&self) -> u32 {
        self.now_s
    }

    pub(super) fn wait(&mut self, seconds: u32) {
        self.now_s += seconds;
    }

    /// Batches are nested once; operations come again, as those of a journal may.
    pub(super) fn operation(&mut self, input: &mut Unstructured<'_>, depth: u8) -> Result<Operation> {
        let operation = match input.int_in_range(0..=11u8)? {
            0..=4 => Operation::Put(self.rule(input)?),
            5 => Operation::Remove(self.target(input)?),
            6 => Operation::Forget(self.target(input)?),
            7 => Operation::ForgetResource(resource(input)?),
            8 | 9 if depth < 2 => {
                let operations = (0..input.int_in_range(0..=6)?).map(|_| self.operation(input, depth + 1));
                Operation::Batch(operations.collect::<Result<_>>()?)
            }
            10 => self.crowd(input)?,
            _ => match input.choose(&self.done) {
                Ok(operation) => operation.clone(),
                Err(_) => Operation::Batch(Vec::new()),
            },
        };
        self.done.push(operation.clone());
        Ok(operation)
    }

    /// Rules of lists in place of all rules of some lists.
    pub(super) fn replacement(&mut self, input: &mut Unstructured<'_>) -> Result<(Lists, Vec<Rule>)> {
        let lists = if input.arbitrary()? {
            Lists::One(list_name(input)?)
        } else {
            let spared = (0..input.int_in_range(0..=2)?).map(|_| list_name(input));
            Lists::AllBut(spared.collect::<Result<_>>()?)
        };
        let rules = (0..input.int_in_range(0..=6)?).map(|_| {
            let origin = Origin::List(list_name(input)?);
            Ok(Rule { origin, ..self.rule(input)? })
        });
        Ok((lists, rules.collect::<Result<_>>()?))
    }

    /// Rules of clients on one list, with one reason.
    pub(super) fn addresses(&mut self, input: &mut Unstructured<'_>) -> Result<Vec<Rule>> {
        let origin = Origin::List(list_name(input)?);
        let reason: Arc<str> = (*input.choose(&["", "scan", "aé€"])?).into();
        let rules = (0..input.int_in_range(0..=8)?).map(|_| {
            let list = *input.choose(&[List::Allow, List::Block, List::Block])?;
            let target = Target::Client(list, input.choose(&NETS)?.parse().unwrap());
            Ok(Rule { target, origin: origin.clone(), reason: reason.clone(), ..self.rule(input)? })
        });
        rules.collect()
    }

    /// More rules on one resource than it may have.
    fn crowd(&mut self, input: &mut Unstructured<'_>) -> Result<Operation> {
        let rule = self.rule(input)?;
        let (resource, ends) = (resource(input)?, input.arbitrary::<bool>()?);
        let crowd = (0..input.int_in_range(60..=70)?).map(|at: u32| {
            let parameter = Some(("at".into(), at.to_string().into()));
            let target =
                Target::Resource(resource.clone(), Conditions { parameter, ..Conditions::default() });
            let expires_at_s =
                if ends || matches!(rule.origin, Origin::Learned(_)) { self.end(200) } else { NEVER };
            Operation::Put(Rule { target, expires_at_s, ..rule.clone() })
        });
        Ok(Operation::Batch(crowd.collect()))
    }

    fn rule(&mut self, input: &mut Unstructured<'_>) -> Result<Rule> {
        let (forbidden, gone) = (Status::FORBIDDEN, Status::new(410).unwrap());
        let actions =
            [Action::Deny(forbidden), Action::Deny(gone), Action::Tarpit, Action::Drop, Action::Observe];
        let target = self.target(input)?;
        let action = *input.choose(&actions)?;
        let origin = if input.arbitrary()? {
            let learned_at_us = u64::from(self.now_s) * 1_000_000;
            let client: Option<&str> = *input.choose(&[None, Some(ADDRESSES[0]), Some(ADDRESSES[1])])?;
            let client_network = client.map(|client| ClientNet::of_client(client.parse().unwrap()));
            Origin::Learned(Arc::new(Provenance { learned_at_us, client_network, ..Provenance::default() }))
        } else {
            Origin::List(list_name(input)?)
        };
        let expires_at_s = match *input.choose(&[None, Some(0), Some(5), Some(50), Some(150), Some(400)])? {
            Some(0) => self.now_s,
            Some(ttl_s) => self.end(ttl_s),
            None if matches!(origin, Origin::List(_)) => NEVER,
            // Two of these would end together.
            None if self.has_endless_lesson => self.end(1000),
            None => {
                self.has_endless_lesson = true;
                NEVER
            }
        };
        let reason = (*input.choose(&["", "scan", "aé€"])?).into();
        Ok(Rule { target, action, expires_at_s, origin, reason })
    }

    /// No two rules end together, so that which one gives way is not left to chance.
    fn end(&mut self, ttl_s: u32) -> u32 {
        let free = (self.now_s + ttl_s..).find(|end_s| !self.ends.contains(end_s));
        let end_s = free.expect("time does not end");
        self.ends.insert(end_s);
        end_s
    }

    /// One in two is known already.
    fn target(&mut self, input: &mut Unstructured<'_>) -> Result<Target> {
        let target = match input.int_in_range(0..=3u8)? {
            0 => {
                let list = *input.choose(&[List::Allow, List::Block, List::Block])?;
                Target::Client(list, input.choose(&NETS)?.parse().unwrap())
            }
            1 => Target::Resource(resource(input)?, conditions(input)?),
            _ if !self.targets.is_empty() => return input.choose(&self.targets).cloned(),
            _ => Target::Resource(resource(input)?, Conditions::default()),
        };
        self.targets.push(target.clone());
        Ok(target)
    }
}

fn list_name(input: &mut Unstructured<'_>) -> Result<Arc<str>> {
    Ok((*input.choose(&["one", "two"])?).into())
}

fn resource(input: &mut Unstructured<'_>) -> Result<Resource> {
    let host = input.choose(&[None, Some(HOSTS[0]), Some(HOSTS[0]), Some(HOSTS[1])])?;
    let host = host.map(|host| Host::parse(host).unwrap());
    let path = CanonicalPath::parse(input.choose(&PATHS)?, ParameterSegments::Keep, 1024).unwrap();
    Ok(if input.arbitrary()? { Resource::prefix(host, path) } else { Resource::exact(host, path) })
}

fn conditions(input: &mut Unstructured<'_>) -> Result<Conditions> {
    let bits: u8 = input.arbitrary()?;
    let parameter = || ("id".into(), "1".into());
    Ok(Conditions {
        method: (bits & 3 == 3).then(|| "POST".into()),
        query: (bits & 12 == 12).then(|| "id=1".into()),
        parameter: (bits & 48 == 48).then(parameter),
        anonymous: bits & 64 != 0,
        client: (bits & 128 != 0).then(|| "192.0.2.77".parse::<IpAddr>().unwrap()),
    })
}
