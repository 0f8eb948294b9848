//! Sealed texts: what opens, and all that does not.

use base64::engine::general_purpose::STANDARD;

use super::*;

const TOKEN: &str = "sk-ant-ort01-FAKE";

fn key(seed: u8) -> SealKey {
    SealKey::parse(&raw(seed)).unwrap()
}

fn raw(seed: u8) -> [u8; 32] {
    std::array::from_fn(|n| seed.wrapping_mul(31).wrapping_add(u8::try_from(n * 7).unwrap()))
}

fn owner(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

fn opened(keys: &[SealKey], field: &str, owner: &[String], text: &str) -> Result<String, OpenError> {
    open(keys.iter(), Place { field, owner }, text).map(|secret| secret.to_string())
}

#[test]
fn what_is_sealed_opens_in_its_place_and_nothing_of_it_can_be_read() {
    let (keys, mine) = ([key(1)], owner(&["oauth", "u", "o"]));
    for secret in [TOKEN, "", "\u{e4}\u{f6}", &"x".repeat(5000)] {
        let place = Place { field: "refresh_token", owner: &mine };
        let sealed = seal(&keys[0], place, secret).unwrap();
        assert!(is_sealed(&sealed) && sealed.is_ascii(), "{sealed}");
        assert_eq!(key_of(&sealed), Some(keys[0].id()));
        assert!(secret.is_empty() || !sealed.contains(secret));
        assert_eq!(opened(&keys, "refresh_token", &mine, &sealed).unwrap(), secret);
        // A new nonce each time.
        assert_ne!(seal(&keys[0], place, secret).unwrap(), sealed);
    }
}

/// What is on disks stays readable: this text was made once and never changes.
#[test]
fn the_form_is_as_it_ever_was() {
    let mine = owner(&["oauth", "u", "o"]);
    let place = Place { field: "refresh_token", owner: &mine };
    let sealed = seal_with(&key(1), place, TOKEN, [7; 12]).unwrap();
    assert_eq!(
        sealed,
        "proxyd-sealed:v1:19f81835:BwcHBwcHBwcHBwcHhead78s0UhJ3gbaZhCKDDmPFMuKOaR37HGt203iZ2law"
    );
}

#[test]
fn it_opens_nowhere_else() {
    let (keys, mine) = ([key(1)], owner(&["oauth", "u", "o"]));
    let sealed = seal(&keys[0], Place { field: "refresh_token", owner: &mine }, TOKEN).unwrap();
    for (field, other) in [
        ("access_token", &["oauth", "u", "o"][..]),
        ("refresh_token", &["oauth", "u", "p"]),
        ("refresh_token", &["oauth", "uo", ""]),
        ("refresh_token", &["oauth", "u"]),
        ("refresh_token", &["oauth", "u", "o", ""]),
        ("refresh_token", &["email", "u", "o"]),
        ("refresh_tokeno", &["auth", "u", "o"]),
        ("refresh_token", &[]),
    ] {
        assert_eq!(
            opened(&keys, field, &owner(other), &sealed),
            Err(OpenError::Altered),
            "{field} {other:?}"
        );
    }
}

#[test]
fn the_key_that_a_text_names_is_used_and_a_wrong_one_is_told() {
    let (new, old, lost) = (key(1), key(2), key(3));
    let mine = owner(&["email", "me@example.com"]);
    let seal_by = |key: &SealKey| seal(key, Place { field: "api_key", owner: &mine }, TOKEN).unwrap();
    let by_lost = seal_by(&lost);
    let keys = [new, old];
    for key in &keys {
        assert_eq!(opened(&keys, "api_key", &mine, &seal_by(key)).unwrap(), TOKEN);
    }
    let sealed_with = lost.id().to_owned();
    let given = format!("{} (old: {})", keys[0].id(), keys[1].id());
    let told = OpenError::OtherKey { sealed_with: sealed_with.clone(), given };
    assert_eq!(opened(&keys, "api_key", &mine, &by_lost), Err(told));
    assert_eq!(opened(&[], "api_key", &mine, &by_lost), Err(OpenError::NoKey { sealed_with }));
}

#[test]
fn no_changed_character_and_no_cut_opens() {
    let (keys, mine) = ([key(1)], owner(&["oauth", "u", "o"]));
    let sealed = seal(&keys[0], Place { field: "refresh_token", owner: &mine }, TOKEN).unwrap();
    for at in 0..sealed.len() {
        assert!(opened(&keys, "refresh_token", &mine, &sealed[..at]).is_err(), "cut at {at}");
        for bit in 0..7 {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let flipped = String::from_utf8(bytes).unwrap();
            assert!(opened(&keys, "refresh_token", &mine, &flipped).is_err(), "bit {bit} of {at}: {flipped}");
        }
    }
    assert!(opened(&keys, "refresh_token", &mine, &format!("{sealed}A")).is_err());
}

#[test]
fn no_bit_of_the_box_can_be_changed() {
    let (keys, mine) = ([key(1)], owner(&[]));
    let sealed = seal(&keys[0], Place { field: "api_key", owner: &mine }, TOKEN).unwrap();
    let (head, boxed) = sealed.rsplit_once(':').unwrap();
    let boxed = URL_SAFE_NO_PAD.decode(boxed).unwrap();
    for at in 0..boxed.len() * 8 {
        let mut flipped = boxed.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        let text = format!("{head}:{}", URL_SAFE_NO_PAD.encode(flipped));
        assert_eq!(opened(&keys, "api_key", &mine, &text), Err(OpenError::Altered), "bit {at}");
    }
}

#[test]
fn another_version_is_named_and_what_is_none_is_not_taken_for_one() {
    let keys = [key(1)];
    let version = |text| opened(&keys, "api_key", &[], text).unwrap_err();
    assert_eq!(version("proxyd-sealed:v2:x"), OpenError::Version { version: "v2".to_owned() });
    for none in
        ["proxyd-sealed:", "proxyd-sealed:v1", "proxyd-sealed:v1:00000000", "proxyd-sealed:v1:XX:AA", "x"]
    {
        assert_eq!(version(none), OpenError::Altered, "{none}");
    }
    assert!(!is_sealed(TOKEN) && !is_sealed("") && !is_sealed("Proxyd-sealed:v1:"));
}

#[test]
fn a_key_is_the_same_in_each_of_its_forms() {
    let raw = raw(9);
    let hex = raw.map(|byte| format!("{byte:02x}")).concat();
    let forms = [
        hex.clone(),
        hex.to_uppercase() + "\n",
        STANDARD.encode(raw),
        STANDARD.encode(raw) + "\r\n",
        URL_SAFE_NO_PAD.encode(raw),
    ];
    let key = SealKey::parse(&raw).unwrap();
    for form in forms {
        assert_eq!(SealKey::parse(form.as_bytes()).unwrap(), key, "{form}");
    }
    assert_ne!(SealKey::parse(&self::raw(8)).unwrap(), key);
    assert!(!format!("{key:?}").contains(&hex[..8]) && !hex.contains(key.id()));
}

#[test]
fn what_is_no_key_says_why_and_not_what_it_is() {
    for (bytes, fault) in [
        (&b""[..], KeyFault::Empty),
        (b" \n", KeyFault::Form { length: 2 }),
        (&[1; 31], KeyFault::Form { length: 31 }),
        (&[1; 33], KeyFault::Form { length: 33 }),
        (&[0; 32], KeyFault::Constant),
        (&[b'0'; 64], KeyFault::Constant),
        (b"correct horse battery staple 123", KeyFault::Typed),
        (b"a passphrase", KeyFault::Form { length: 12 }),
        (&[b'g'; 64], KeyFault::Form { length: 64 }),
    ] {
        assert_eq!(SealKey::parse(bytes).unwrap_err(), fault, "{bytes:?}");
    }
}
