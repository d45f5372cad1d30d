"""English texts of the bank, as data.

One line is one template. `(a|b|)` is a choice, `{slot}` a value from `SLOTS` or `TERMS` or a generated number; a leading
`+` marks a wording that customers use only in the last part of the time line. Wordings of different scenes share their
nouns on purpose: only who did what, and negation, distinguishes them.
"""

# ruff: noqa: E501 (one template per line)

SCENES = {
    "card_lost": """
I (can't find|have misplaced|mislaid) my {cardtype} (somewhere in {city}|since {date}|after the weekend) (and need it blocked|, please stop it).
My {cardtype} is gone, I (think|believe) I left it (in a taxi|on a train|at {merchant}), nobody took it.
(Somewhere between home and {merchant}|On the way through {city}) my {cardtype} (fell out of my pocket|slipped out of my bag|dropped out of the wallet).
I have (looked|searched) everywhere for my {cardtype} and it is (nowhere|not turning up).
I had the {cardtype} on {date} and now I (don't know|have no idea) where it is.
It has not been stolen, I (simply|just) (lost|mislaid) my {cardtype}.
(Please freeze|Could you freeze) my {cardtype}, it went missing (out of my own carelessness|through my own fault) around {date}.
The {cardtype} did arrive {duration} ago but I (no longer have it|have lost it since).
My (kid|son|daughter) was playing with my {cardtype} and (we cannot find it any more|now nobody knows where it ended up).
I must have (dropped|left behind) my {cardtype} when I (paid|was) at {merchant}.
The plastic for my {product} (has vanished|disappeared) (when we moved house|during a trip to {city}), no sign of any misuse.
+ I am afraid my {cardtype} is (lying in some drawer or on some pavement|at the bottom of the sea by now), I let it out of my sight.
+ (Forgot|Left) my plastic (on the counter|on a bus seat) in {city} and (it was not handed in|nobody has handed it in).
+ My purse (dropped into the river|tumbled off the ferry) with the {cardtype} inside.
+ The wallet (turned up|was returned) but the {cardtype} was not in it, probably it (slid out|came loose) on the walk.
""",
    "card_stolen": """
(Someone|A stranger) (took|grabbed) my {cardtype} (in {city}|at {merchant}) (on {date}|this morning).
I (was robbed|got mugged) (in {city}|near {merchant}) and they (have|took) my {cardtype}.
My {cardtype} was (stolen|taken) (from my bag|out of the car), I did not lose it.
A thief has my {cardtype}, (please block it|block it before it is used).
(My handbag was snatched|My bag was taken from the table) and the {cardtype} was inside.
(There was a break-in at our home|Our flat was broken into) on {date} and the {cardtype} is gone.
I (watched|saw) a man (run off|walk away) with my wallet, my {cardtype} is in it.
I reported the theft of my {cardtype} to {org}, (now please block it|the bank should know too).
A pickpocket (got|has) my {cardtype} (in the metro|in the crowd) in {city}.
My letter box was (broken open|forced) and somebody (has|took) the new {cardtype}, it did arrive.
It is not just mislaid: somebody (took|removed) my {cardtype} (from the locker|from my desk).
+ Two (lads|youths) on a (scooter|motorbike) (ripped|tore) the purse out of my hand, {cardtype} included.
+ (Our room was burgled|The hotel room was cleared out) while we were out in {city}, the {cardtype} went with the rest.
+ A (colleague|flatmate) (helped himself to|pocketed) my {cardtype}, {org} has the case.
+ My wallet was lifted (at a concert|on the tram) and whoever did it (has|holds) my {cardtype} now.
""",
    "card_not_arrived": """
I ordered a {cardtype} {duration} ago and (it is still not here|it has not come).
My new {cardtype} was (sent|posted) on {date}, (but it never came|yet nothing is in my letter box).
I did not lose my {cardtype}, it (just|simply) never came.
(Where is|What happened to) the {cardtype} you (promised|were going to send)? (It has been {duration}|I have been waiting since {date}).
The replacement for my stolen card (has not reached me|is not here) after {duration}.
You (wrote|said) that my {cardtype} would be here (by|before) {date}, (nothing has come|I have received nothing).
How long does it take until I (get|have) the {cardtype} for my {product}? (I am waiting since {date}|{duration} have passed).
The {cardtype} is shown as active in the {channel} but I (never had it in my hands|never got it).
(Still no|No sign of the) {cardtype} in the post, (should I worry|is that normal)?
My PIN letter came (on {date}|{duration} ago) but the {cardtype} (did not|is missing).
My old card ran out on {date} and (no new one has come|I was not sent another one).
+ The postman (brings everything|came every day), only not the {cardtype} you (mailed|dispatched) on {date}.
+ (Track|Can you trace) the envelope with my {cardtype}, it is (overdue|late) by {duration}.
+ My {cardtype} seems to be stuck in delivery (to {city}|somewhere), {duration} and counting.
+ I moved to {city}; (could|might) the {cardtype} have gone to the (old|previous) flat? I (am still waiting for it|never opened any such envelope).
""",
    "card_declined": """
My {cardtype} was (refused|declined|rejected) at {merchant} although there is (enough|plenty of) money.
I tried to pay {amount} at {merchant} and the {cardtype} (did not work|was not accepted).
(Why can't I pay|Why was I not able to pay) with my {cardtype}? I have it here and it is (not blocked|new).
The terminal at {merchant} (said no|showed an error) for my {cardtype} (twice|on {date}).
Every {pos} with my {cardtype} (fails|is turned down) since {date}.
I am in {city} and my {cardtype} (does not go through|won't work) (anywhere|in any shop).
My {cardtype} arrived, I activated it, but {merchant} (could not take it|would not take it).
The online shop {merchant} (won't take|keeps refusing) my {cardtype} for a {pos} of {amount}.
It is embarrassing to stand at the till with a {cardtype} that (gets refused|does not work).
I never lost this {cardtype}, and still the machine says it (is invalid|cannot be used) for {pos}.
Neither {merchant} nor {channel} would let me use the {cardtype}, (the balance is fine|there is money in the account).
+ (Do not honour|Transaction not permitted) is what {merchant} (saw|read out) when I (tapped|swiped) my {cardtype}.
+ I (tapped|held up) my {cardtype} three times at {merchant} and (had to pay cash|my friend had to pay) in the end.
+ The cashier (shook her head|gave me my plastic back): it (did not go through|would not process) for {amount}.
+ Contactless is dead on my {cardtype}, (the reader just beeps|every reader shows a red light).
""",
    "card_swallowed": """
The {channel} (kept|swallowed|ate) my {cardtype} (on {date}|in {city}).
The machine in {city} did not give my {cardtype} back.
I put my {cardtype} into the {channel} and it (stayed inside|never came back out).
(My {cardtype} is stuck|My {cardtype} got stuck) in your {channel} (near {merchant}|in {city}).
(After I took the cash|During a {cwdl}) the machine (retained|held on to) my {cardtype}.
I got my {amount} but not my {cardtype}, it is (still in the machine|inside the {channel}).
How do I get my {cardtype} back from (the {channel}|your machine)? It was (pulled in|taken in) on {date}.
My {cardtype} is neither lost nor stolen, your {channel} (has it|took it).
I typed the wrong PIN and the {channel} (withheld|took) my {cardtype}.
The screen went black and my {cardtype} (was gone|remained in the slot).
The {channel} at {merchant} (captured|confiscated) my {cardtype} without any reason.
+ Your (machine|cash point) has been (chewing on|hoarding) my {cardtype} since {date}.
+ (The slot would not release|The reader would not let go of) my {cardtype} in {city}.
+ There was a power cut (while|when) my {cardtype} was inside the {channel}, now (it is locked in there|I stand here without it).
+ I waited too long to (pull out|remove) the {cardtype} and it was (drawn back|sucked in).
""",
    "cash_short": """
I (asked|keyed in) for {amount} at the {channel} but got less.
The {channel} (paid out|gave me) less than the {amount} (booked|taken from my account).
The {cwdl} of {amount} was booked, but no money came out of the {channel}.
The machine in {city} (counted|dispensed) too (little|few notes), my account shows {amount}.
I only received (half|part) of the {amount} from the {channel}.
No notes came out on {date}, yet the {cwdl} (is in my account|was charged).
My {cdpt} of {amount} was counted (wrong|too low), a note is missing.
I put {amount} into the {channel} and (less was credited|not all of it was credited).
I have my card back, but the {channel} (did not give|never gave) me the {amount}.
The {cwdl} on {date} (is wrong|does not add up): I got fewer notes than the receipt says.
{amount} was (deducted|debited) for a {cwdl} in {city} that (gave|brought) me nothing.
+ The drawer of the {channel} (opened empty|stayed shut), but {amount} left my balance.
+ Your cash point (owes me|short-changed me by) part of {amount}.
+ I counted the bills twice: (some are missing|two are missing) from the {amount} the {channel} (handed over|spat out).
+ (The shutter closed|The flap jammed) before I could take the {amount}, and it was not put back.
""",
    "transfer_pending": """
My {dmct} of {amount} from {date} (has not arrived|is not there) yet, it (is shown as pending|says in progress).
I sent {amount} to {org} {duration} ago and (it is still on the way|they have not got it).
The {dmct} left my account but the (receiver|landlord) (is still waiting|sees nothing).
How long does a {xbct} take? Mine has been (under way|open) for {duration}.
My {dmct} has not failed, it (just hangs|is just stuck) (in processing|in the middle).
The {channel} shows my {dmct} of {amount} as (being processed|not finished) since {date}.
When will the {amount} I sent on {date} (be there|get there)? Details were correct.
I am waiting for a {rcdt} of {amount}, {org} sent it {duration} ago.
My {sala} should have been there on {date}, the sender says it (is coming|was sent).
The {xbct} to {city} was accepted but (has not landed|nothing has been credited).
Money to my (sister|friend) is neither back in my account nor in hers, since {date}.
+ {amount} is (floating|in limbo) between my account and {org} since {date}.
+ (Is my {dmct} stuck|Is something holding up my {dmct})? (The status has not moved|Nothing moves) for {duration}.
+ The other side keeps asking me where the {amount} is, my account says (dispatched|underway).
+ Your {channel} has shown an hourglass on my {xbct} for {duration}.
""",
    "transfer_failed": """
My {dmct} of {amount} (failed|was rejected|did not go out) on {date}.
I can't send {amount} to {org}, the {channel} (shows an error|says not possible).
The {dmct} came back to my account (twice|on {date}), (why|please explain).
Each time I try a {xbct} the {channel} (aborts|breaks off).
My {stdo} was not (executed|carried out) on {date} though there was money.
The {dmct} is not pending, it was (cancelled|refused) (without a reason|by the bank).
(Why was|Can you say why) my {dmct} to {city} (returned|sent back)? The account number was right.
I entered all details correctly and still the {dmct} (did not work|could not be made).
The {channel} (refuses|denies) my {dmct} of {amount} to {org}.
I got a message that my {dmct} (could not be completed|was unsuccessful) and the {amount} is back.
The {rrtn} of {amount} shows that my payment to {org} (did not go through|bounced).
+ Pressing send (does nothing|brings up a red cross) when I want to move {amount} to {org}.
+ My rent (bounced|came flying back) on {date}, the landlord is angry.
+ {org} never got anything because your system (threw out|dropped) the {dmct}.
+ Three attempts to (wire|move) {amount}, three times (an error code|a refusal).
""",
    "transfer_wrong_account": """
I (sent|transferred) {amount} to the wrong (person|account).
The {dmct} of {amount} went to (a stranger|someone else) because I mistyped the number.
I made a mistake in the account number of my {dmct}, (can you get it back|please recall it).
My {dmct} on {date} has arrived, but (at the wrong receiver|with the wrong person).
I (picked|chose) the wrong (name|contact) in the {channel} and {amount} (is gone|was sent).
Please (recall|call back) my {xbct} of {amount}, it should have gone to {org}.
I paid {amount} to my old landlord (instead of the new one|by mistake).
One digit was wrong and now {amount} (is with|belongs to) somebody I do not know.
The {dmct} did not fail, sadly: it reached (an account that is not the right one|the wrong account).
How do I (undo|reverse) a {dmct} that I addressed wrongly on {date}?
I (confused|mixed up) two payees and {org} did not get the {amount}, another firm did.
+ {amount} landed (with the plumber|with my ex) when it was meant for {org}.
+ My thumb (slipped|hit the line below) in the list of payees, and off went {amount}.
+ Is there any way to (pull back|retrieve) {amount} from somebody who (was not supposed to get it|has nothing to do with me)?
+ I used an outdated IBAN for {org}, so a (different|total) stranger now has {amount}.
""",
    "transfer_limit": """
I need to send {amount} but (my limit is too low|the daily limit stops me).
(Please raise|Can you raise) the limit for my {dmct} (to {amount}|for one day).
How much can I (send|transfer) a day in the {channel}?
The {channel} says I (can send no more today|have reached the maximum).
I am buying a car and have to pay {amount} at once, what (do I have to do|has to be changed)?
My {dmct} (is not allowed|is not possible) because it is above the limit.
(What is|Where do I see) the highest amount for a {xbct}?
I want to (lower|reduce) my daily limit in the {channel} to {amount}.
Is it possible to send {amount} in one {dmct}, or must I split it?
The limit on my {product} was changed on {date}, I want (the old one|more) back.
For {duration} I need a higher limit for {dmct}.
+ The ceiling on what I may (move|send out) in a day is (far too small|a nuisance), I need {amount}.
+ (Lift|Widen) the cap on outgoing payments please, {org} wants {amount} in one go.
+ A house deposit of {amount} will not fit (through your cap|into what you permit per day).
+ I would like to be able to send less per day, {amount} (at most|tops), to be on the safe side.
""",
    "fee_unknown": """
There is a {fee} of {amount} on my account and I don't know (what for|why).
(Why did you charge|Why was I charged) a {fee} on {date}?
(What is|Can you explain) the {fees} of {amount} on my statement?
I see {amount} as {fee}, but (nobody told me|I was told it is free).
I do not want it refunded, I (only|just) want to know what the {fee} is.
Each month {amount} is taken (for|as) {fee}, (what is that|where does it come from).
My {product} was supposed to cost nothing, what is this {fee}?
After my {xbct} (another|an extra) {amount} was taken, (which fee is that|what is that for).
The {channel} lists a {fee} of {amount} that I (do not understand|cannot place).
(How is|On what basis is) the {fee} (calculated|worked out)? I paid {amount} on {date}.
I used my {cardtype} in {city} and there is a {fee}, (is that right|is that normal).
+ (Enlighten me about|Please walk me through) the {amount} you (booked|took) on {date} as {fee}.
+ Your price list (says nothing about|does not mention) the {fee} I (found|spotted) on {date}.
+ A mysterious {fees} of {amount} (popped up|has crept in) next to my {pos}.
+ Which rule makes me pay a {fee}? I am (curious|puzzled), not angry.
""",
    "fee_refund": """
Please (give back|refund|return) the {fee} of {amount}.
I want my {amount} back, the {fee} was (wrong|not agreed).
You charged a {fee} although (I keep enough money|you said it is free), (refund it|I want it back).
The {fee} on {date} was your mistake, please (reverse|cancel) it.
(Can you waive|Would you waive) the {fee} for my {product}?
I know what the {fee} is for, but (I should not have to pay it|it should not apply to me).
I was promised the {fee} back {duration} ago, (nothing has come|where is it).
The {fee} was taken twice, (please pay one back|I want one back).
As a customer of {duration} I ask you to (drop|remove) the {fee} of {amount}.
Because of the late {dmct} I had to pay a {fee}, (please cover it|you should pay for it).
The staff on the {channel} agreed to return the {fee}, (please do it|it has not happened).
+ Kindly (credit|put back) {amount}, the {fee} was not my doing.
+ I (expect to be reimbursed|would like to be compensated) for the {fee} that hit me on {date}.
+ Let me off the {fee} (this once|this time), will you?
+ The {fees} of {amount} (ought to|should) be (wiped|struck off), your {channel} was down that day.
""",
    "charge_twice": """
{merchant} (charged|debited) me twice for the same {pos} of {amount}.
I see {amount} two times on {date}, but I (bought|paid) only once.
My {cardtype} was charged (double|twice) at {merchant}.
One {pos}, two bookings of {amount}: (please check|one is too many).
The same {pmdd} of {amount} (was taken twice|appears twice) (on {date}|this month).
I paid {amount} in cash at {merchant} because the card failed, and now it is (on the card too|also booked on my card).
I know this shop, but the {amount} is there (two times|once too often).
My first {pos} was refused at {merchant}, the second worked, and (both are booked|both were taken).
I cancelled the order at {merchant} and instead of a refund I got a second booking of {amount}.
The {stdo} to {org} ran two times on {date}.
There is a (second|duplicate) booking for my hotel in {city}.
+ {merchant} seems to have (rung me up|billed me) again for what I already (settled|paid).
+ A (twin|copy) of my {pos} of {amount} showed up (the next day|on {date}).
+ I ate one dinner at {merchant} and (paid for two|was billed for two), {amount} each.
+ Identical lines, identical {amount}, identical minute: (surely an error|that can't be right).
""",
    "charge_unrecognised": """
There is a {pos} of {amount} at {merchant} that I did not make.
I don't (know|recognise) the {pos} of {amount} on {date}.
Someone (used|is using) my {cardtype} data, I still have the card.
I have never been to {merchant}, but {amount} was (booked|charged).
Who took {amount} from my account on {date}? (It was not me|I did not allow that).
A {pmdd} of {amount} for {org} was taken, I have no contract with them.
My {cardtype} is in my hand and yet somebody paid in {city} with it.
There was a {xbcw} in {city}, and I was at home (that day|on {date}).
I do not know this shop, {merchant}, (please check|what is this) {amount}.
Several bookings that are not mine (appear|showed up) in the {channel} since {date}.
I did not authorise {amount} to {merchant}, (please dispute it|I want to dispute it).
+ (Fraudsters|Criminals) seem to be shopping at {merchant} (at my expense|on my account).
+ {amount} to some firm called {merchant}? (Never heard of them|Not mine).
+ I was asleep when {amount} was spent (in {city}|at {merchant}).
+ My card number must have been (copied|skimmed), (look at the line|see the entry) of {date}.
""",
    "loan_apply": """
I (want|would like) to (take out|get) a {product} of {amount}.
What do I need to (apply for|get) a {product}?
(Can I get|Could I get) a loan of {amount} if I earn (little|my own money)?
I would like to borrow {amount} (for {duration}|for a car).
Which papers do you need for a {product}?
(Am I able|Is it possible) to get a {product} as a student?
I have no loan with you yet and (am interested in|want) a {product}.
(How do I apply|Where can I apply) for a {product}, in the {channel} or at the {channel}?
We are buying a flat in {city} and need {amount} from the bank.
What would I pay a month for a {product} of {amount} (over {duration}|if I started now)?
I was refused by {org}, (would you|could you) lend me {amount}?
+ (Thinking of|Dreaming of) a new kitchen, could Finelake Bank (finance|fund) {amount}?
+ We (are short of|lack) {amount} for our house, (what can you offer|is there an offer).
+ Do I (qualify|stand a chance) for {amount} with my {sala}?
+ I'd like to start the paperwork for a {product}, (never had one|it is my first).
""",
    "loan_status": """
I applied for a {product} on {date} and have heard nothing.
(What is the state|Where are we) with my application for a {product}?
I sent all papers {duration} ago, (has it been decided|is there a decision)?
My {product} was approved, (but the money is not there|when is the {ddwn}).
How long (does it take|will it take) to (check|decide on) my application for {amount}?
You asked for more papers for my {product}, (did you get them|have they arrived)?
The {channel} shows my application as (open|under review) since {date}.
I do not want to apply again, only to know (if|whether) my {product} (was accepted|is granted).
(Am I going to get|Will I get) the {amount} I asked for on {date}?
My application was handed in at the {channel} on {date}, (any news|what happened to it).
The {ddwn} of my {product} was promised for {date}, (nothing yet|and did not happen).
+ Has anybody (looked at|opened) my file for the {product}? It is with you since {date}.
+ The seller is pressing me, (is it a yes or a no|yes or no) on the {amount}?
+ I signed for the {product} {duration} ago and the account is (empty|still at zero).
+ (Keep me posted|Any progress) on what I handed in for the {product}?
""",
    "loan_repay_early": """
I want to pay back my {product} (early|ahead of time).
(Can I|May I) repay {amount} of my loan now, before the end?
What does it cost to (pay off|clear) my {product} at once?
I have {amount} left over and would like to make an extra {ppay}.
How much do I still owe if I pay everything on {date}?
I got money from my (aunt|parents) and want to be rid of the {product}.
Is there a {fee} when I (end|close) my loan {duration} early?
I am not behind, I want to pay more than I (must|have to).
(Please tell me|I need) the sum that settles my {product} (in full|on {date}).
I sold the car and want to (close|settle) the {product} for it.
Can I shorten my {product} by {duration} with a {ppay} of {amount}?
+ (Let me get|I'd like to get) out of the {product} sooner than planned, (what's the damage|what do I owe).
+ A bonus came in: {amount} should go (straight into|off) the {product}.
+ Debt free by {date} is my plan, (how do I wipe out|how do I finish off) the rest of the {product}?
+ Would a lump sum of {amount} (bring down|cut) my monthly rate?
""",
    "loan_overdue": """
I can't pay the rate of my {product} (this month|on {date}).
I missed the {ppay} on {date}, (what happens now|what should I do).
You sent a reminder for my {product}, but (I paid|I have no money now).
I lost my job and (cannot keep up|have trouble) with the {product}.
(Can I pause|Is it possible to pause) my {product} for {duration}?
My {ppay} of {amount} will be late, my {sala} (comes later|is late).
I am {duration} behind with my loan and want to (arrange something|find a solution).
Please (move|shift) the date of my {ppay} to a later day.
The {pmdd} for my {product} bounced because the account was empty.
There is a {fee} because I paid the {product} too late, I know, but how do I (catch up|go on)?
I would like to pay less a month for my {product} because I (am ill|had an accident).
+ Times are (hard|tough) and the {product} is (crushing me|too heavy), (is a break possible|could we stretch it).
+ The instalment (slipped my mind|slipped through) on {date}, do I get a black mark?
+ Collections is (calling|writing to) me about {amount}, I (want to sort it out|need breathing space).
+ I have to feed my family first, the {product} (must wait|has to wait) for {duration}.
""",
    "login_blocked": """
I can't get into the {channel}, it says my access is (locked|blocked).
My access was (blocked|locked) after (three|some) wrong attempts, I do know my password now.
The {channel} (does not let me in|keeps me out) although the password is right.
(Please unlock|Can you unlock) my account, (I am shut out|I cannot log in) since {date}.
I entered the code from the text message and (still cannot log in|it throws me out).
I have not forgotten my password, the login (just|simply) (says no|does not work).
Each time I log in the {channel} (stops|closes) and I am out again.
Since the update of {date} I cannot (log in|enter) any more on my {device}.
Why is my access (suspended|disabled)? I did nothing wrong.
The login page says (contact the bank|user disabled), my {device} is the same as always.
No code arrives when I want to log in, so I (cannot get in|stay outside).
+ Your {channel} has (shut the door on me|thrown me out), password correct, nothing works.
+ Too many tries they say, (now I have to wait|how long am I barred)?
+ (Locked out|Frozen out) of the {channel} since {date}, please let me back in.
+ Face recognition accepts me and then a notice says my profile is (on hold|inactive).
""",
    "password_reset": """
I forgot my password (for the {channel}|and need a new one).
How do I (change|renew) my password in the {channel}?
I do not remember my (password|PIN), (please send a new one|how do I get another).
The mail to set a new password (does not come|has not arrived).
I am not blocked, I (just|only) need a new password.
The link for the new password (has run out|does not work), I got it on {date}.
My (wife|son) saw my password, I want (another one|to change it).
I want a new PIN for my {cardtype}, I (forgot|cannot remember) the old one.
Each time I set a new password the {channel} (says too weak|does not take it).
I have a note with my password but lost it, (what now|how do I make a new one)?
Where in the {channel} can I (set|choose) another password?
+ My (memory fails me|mind is blank): what was that secret word for the {channel}? I need a fresh one.
+ (It's time|I think it's wise) to pick a new passphrase, where is that (hidden|setting)?
+ The six digits for my {cardtype} (have slipped my mind|are gone from my head).
+ After my holiday I no longer know (what I typed|which word I used) to sign in.
""",
    "device_change": """
I (have|bought) a new {device} and want to use the {channel} on it.
How do I move the {channel} from my old phone to my {device}?
My old phone was stolen, (now I need|I want) the {channel} on my {device}.
I changed my phone number and the codes (go to|still arrive at) the old one.
Please (remove|delete) my old {device} from the {channel}.
I sold my {device}, how do I (unlink|take off) it?
The {channel} says my {device} is not registered.
Can I use the {channel} on two devices, my phone and a {device}?
I broke my phone and (have to register|want to register) a {device}.
The confirmation for my new {device} goes to the phone I no longer have.
My password works, only the new {device} (is not known|has to be approved).
+ (Switched|Upgraded) to a {device}, and now the {channel} (treats me like a stranger|asks for my former handset).
+ How can I (pair|bind) a {device} with your service? The previous one (is scrap|went for recycling).
+ My handset (died|fell into the sink), the replacement is a {device}, (what next|how do I carry on).
+ Your security step pings a gadget I (gave away|no longer own), please point it to the {device}.
""",
    "statement_request": """
I need a statement for {date} (for {org}|as a paper).
Please send me my statements of the last {duration}.
How do I download (a list of my bookings|my statement) in the {channel}?
{org} wants a proof of my {sala}, can you (print|stamp) it?
I need a certificate of my balance (in English|with a stamp) for a visa.
The statement for {date} is missing in the {channel}.
I want my statements by mail (again|on paper), not in the {channel}.
For my taxes I need a paper on the interest of my {product}.
(Can you|Could you) send a proof that I paid {amount} to {org} on {date}?
I can't open the statement in the {channel}, please send it.
I would like a list of all fees of the last {duration} for {org}.
+ My accountant is asking for (the paperwork|everything in writing) for {duration}, where do I (get|pull) it?
+ (A landlord|An embassy) wants to see what is on my account, black on white.
+ Could somebody (issue|draw up) a letter confirming that I bank with you?
+ The PDF for {date} (is blank|comes up empty), I need it for {org}.
""",
    "account_close": """
I want to (close|end) my {product}.
(Please close|Please cancel) my account on {date}.
How do I (leave|quit) the bank? I am moving to {org}.
What happens to the rest of my money after {accc}?
I asked for {accc} {duration} ago and the account (is still there|still costs me).
I do not need my {product} any more, (please cancel it|end it).
I am moving away from {city} and do not want my account any longer.
My father died, we need to (close|dissolve) his account.
I don't want a new card, I want to (give up|close) the whole account.
Is there a {fee} for {accc}?
I have two accounts, (keep one|leave one) and close the {product}.
+ Our ways part: (shut|wind up) everything I have with you by {date}.
+ I am (taking my business|going over) to {org}, what do I sign?
+ (Scrap|Get rid of) my {product}, please, and wire the rest to {org}.
+ This is my notice, after {duration} I no longer wish to be a customer.
""",
    "exchange_rate": """
What is the rate for {currency} (today|on {date})?
Which rate did you use for my {pos} in {city}?
I want to change {amount} into {currency}, (what do I get|how much is that).
The rate for my {xbct} was worse than (the one in the {channel}|promised).
Can I get {currency} in cash at the {channel}?
How do I buy {currency} in the {channel}?
(Do you|Does your bank) take {currency} back after a trip?
The {forx} of {date} was done at a bad rate, why?
I paid {amount} in {city} and the sum in {currency} is (different|not the same), how is it computed?
Can I hold {currency} on my {product}?
I am going to {city} and need {currency} for {duration}.
+ How many (notes of|) {currency} do I receive for {amount} (right now|as of {date})?
+ The conversion on my bill from {city} (looks off|seems steep), whose numbers do you go by?
+ (Going|Flying) abroad soon: is it cheaper to swap money here or (there|in {city})?
+ I hold some leftover {currency}, (what is it worth|would you buy it)?
""",
}

OPENERS = """
Hello,
Hi,
Good morning.
Dear team,
Dear Sir or Madam,
Hi there,
Good evening,
Sorry to bother you.
I need some help.
To whom it may concern,
Hi Finelake,
Quick question.
This is urgent.
Hello again,
"""

CLOSERS = """
Please (help|advise).
Thanks (a lot|in advance|for your help).
Thank you.
(Please reply soon|I hope to hear from you soon).
I (would be grateful|would be glad) for an answer (by {date}|this week).
What (can|should) I do?
Best regards.
This is (really |quite )?annoying.
I have been a customer for {duration}.
I already tried the {channel}, nobody could help.
I am (not amused|rather worried).
Can someone (look into it|take care of it)?
Please answer in writing.
I am abroad (until|till) {date}.
Any (help|hint) is welcome.
"""

# Background: true, but not the subject of the message. It borrows words of other scenes.
BACKGROUND = """
Last year I lost a card and that was settled (quickly|within {duration}).
A transfer to {org} was late in the past, (that is solved|that is not the point).
It has nothing to do with the fee we talked about on {date}.
My password and my phone are fine.
I did not get a new device and did not forget my password.
My loan is paid on time, by the way.
The refund you promised me in the past did arrive.
I had my card blocked once because it was stolen, (long ago|in {city}).
Your {channel} told me about limits and rates, which was not my question.
My wife has a {product} with you and is (happy|content) with it.
Nothing was charged twice, I checked that.
No, I am not asking for a loan and I am not closing my account.
The statement I asked for on {date} arrived, thanks.
I was in {city} to change some money into {currency} (at the time|that week).
My {sala} comes in every month at Finelake Bank.
I first thought the machine had kept my card, but no.
A friend told me that her transfer had failed, mine are fine.
Your colleague on the {channel} thought it was about an unknown payment, it is not.
I took {amount} out of the {channel} on {date} without a problem.
I pay {org} by {stdo}, that works.
The app was blocked some time ago and you unlocked it.
I do not want any money back for old fees.
I have had a {cardtype} and a {product} for {duration}.
I applied for a loan in the past and got it.
My {pos} at {merchant} went through that day.
A {pmdd} for {org} is due on {date}, in case it matters.
My new card came in the post on {date}, that is settled.
My brother once sent money to the wrong account, so I am careful.
"""

CONTACT = {
    "phone": """
You can reach me on {value}.
Please call {value} after work.
My mobile is {value}.
Call me back: {value}
My number ({value}) has not changed.
""",
    "email": """
Write to {value} please.
My e-mail is {value}.
Send the answer to {value}, not by post.
(You may also use|Best is) {value}.
""",
    "resident_id": """
My resident ID number is {value}.
For the check: ID {value}.
The ID on file should be {value}, please compare.
""",
    "card": """
The card number is {value}.
It concerns card {value}.
Card no. {value}, valid for two more years.
""",
}

TRAPS = {
    "order_11": "My order number is {value}.|The reference on the receipt is {value}.",
    "order_long": "The transaction reference is {value}.|It says reference {value} on the slip.",
    "id_invalid": "The contract number is {value}.|Your letter has the code {value}.",
    "card_invalid": "The parcel number was {value}.|The voucher {value} came with it.",
    "amount": "The sum on the paper was {value}.|In total it came to {value}.",
    "date": "The receipt is dated {value}.|It was booked under {value}.",
}

SLOTS = {
    "cardtype": (
        "CARD_TYPE",
        [
            "debit card",
            "credit card",
            "platinum card",
            "gold credit card",
            "prepaid card",
            "virtual card",
            "UnionPay card",
            "student card",
            "business card",
            "travel card",
        ],
    ),
    "channel": (
        "CHANNEL",
        [
            "mobile app",
            "branch",
            "ATM",
            "hotline",
            "online banking",
            "cash machine",
            "WeChat service",
            "web portal",
            "counter",
            "chat",
        ],
    ),
    "atm": ("CHANNEL", ["ATM", "cash machine", "branch ATM", "self-service terminal", "drive-in ATM"]),
    "digital": ("CHANNEL", ["mobile app", "online banking", "web portal", "banking app", "WeChat service"]),
    "merchant": (
        "MERCHANT",
        [
            "Blue Heron Market",
            "Kettle & Co",
            "Northgate Books",
            "Redleaf Pharmacy",
            "Sunny Noodles",
            "Tidewater Hotel",
            "Mistral Shoes",
            "Green Lantern Cafe",
            "Pixel Arcade",
            "Harbour Fuel",
            "Ostrich Outdoor",
            "Velvet Cinema",
            "Copper Kitchen",
            "Two Rivers Mall",
            "Ridge Runner Sports",
        ],
    ),
    "city": (
        "CITY",
        [
            "Hangzhou",
            "Shanghai",
            "Chengdu",
            "Wuhan",
            "Shenzhen",
            "London",
            "Singapore",
            "Nanjing",
            "Xiamen",
            "Toronto",
            "Berlin",
            "Osaka",
            "Suzhou",
            "Kunming",
        ],
    ),
    "currency": (
        "CURRENCY",
        ["euros", "US dollars", "yen", "pounds", "Swiss francs", "Hong Kong dollars", "won", "baht"],
    ),
    "fee": (
        "FEE",
        [
            "annual fee",
            "maintenance fee",
            "late fee",
            "foreign transaction fee",
            "service charge",
            "overdraft fee",
            "account fee",
            "handling charge",
            "replacement fee",
        ],
    ),
    "device": (
        "DEVICE",
        ["tablet", "iPhone 13", "Galaxy S21", "Huawei Mate 50", "laptop", "Pixel 7", "iPad", "Xiaomi 12", "work phone"],
    ),
    "org": (
        "ORGANISATION",
        [
            "the tax office",
            "Harbour Credit Union",
            "City Water Company",
            "the housing fund",
            "Orchid Insurance",
            "Northern Power",
            "the police",
            "Lakeside University",
            "Pine Telecom",
            "my employer Bright Tools",
        ],
    ),
    "product": (
        "PRODUCT",
        [
            "Everyday Saver",
            "Lake Home Loan",
            "Quick Cash loan",
            "Silver Account",
            "Car Plan",
            "Student Account",
            "Flexi Credit",
            "Family Account",
            "Green Renovation Loan",
        ],
    ),
    "loan": (
        "PRODUCT",
        [
            "Lake Home Loan",
            "Quick Cash loan",
            "Car Plan",
            "Green Renovation Loan",
            "Flexi Credit",
            "personal loan",
            "mortgage",
            "education loan",
        ],
    ),
    "account": (
        "PRODUCT",
        [
            "Everyday Saver",
            "Silver Account",
            "Student Account",
            "Family Account",
            "current account",
            "Joint Account",
            "fixed deposit",
        ],
    ),
}

DURATIONS = ["{n} days", "{n} weeks", "{n} months", "about {n} days", "{n} working days", "over {n} weeks"]
AMOUNTS = ["¥{v}", "{v} yuan", "RMB {v}", "CNY {v}", "{v} RMB", "¥{v}"]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
DATES = ["{d} {month}", "{month} {d}", "{y}-{m:02d}-{d:02d}", "{d} of {month}", "{d}/{m}/{y}", "{month} {y}"]

TERMS = {
    "pos": ["card payment", "purchase", "payment at the till", "shop payment"],
    "cwdl": ["cash withdrawal", "withdrawal"],
    "xbcw": ["cash withdrawal abroad", "foreign cash withdrawal"],
    "dmct": ["transfer", "bank transfer", "payment order"],
    "xbct": ["international transfer", "wire abroad", "foreign transfer"],
    "stdo": ["standing order", "recurring transfer"],
    "rcdt": ["incoming transfer", "incoming payment"],
    "sala": ["salary", "wages", "payroll credit"],
    "pmdd": ["direct debit", "automatic debit"],
    "rrtn": ["returned payment", "payment return"],
    "fees": ["bank charge", "fee booking"],
    "ddwn": ["loan payout", "disbursement"],
    "ppay": ["instalment", "repayment of principal", "loan repayment"],
    "accc": ["account closure", "closing the account"],
    "forx": ["currency exchange", "foreign exchange deal"],
    "cdpt": ["cash deposit", "deposit at the machine"],
}

REPLIES = {
    "card_lost": """
We have blocked the lost card and ordered a new one. It will arrive within {days} working days.
Your {cardtype} is blocked now. A replacement is on its way and takes {days} working days.
""",
    "card_stolen": """
We have blocked the stolen card at once. Please report the theft to the police and send us the report within {days} days.
Your {cardtype} is blocked. Please check your bookings and send us the police report within {days} days.
""",
    "card_not_arrived": """
We are sorry that your card has not come. We have sent it again; please allow {days} working days.
The first {cardtype} has been cancelled and a new one posted. Please allow {days} working days.
""",
    "card_declined": """
Your card is in order. The payment was stopped by our security check; please try again after {days} minutes.
The payment of {amount} was stopped by our security check. Please confirm it in the app and try again.
The terminal of {merchant} could not reach us. Your card works; please try again.
""",
    "card_swallowed": """
The machine kept the card for safety. You can collect it at the branch within {days} working days with your ID.
Your {cardtype} will be taken from the machine and kept at the branch for {days} working days.
""",
    "cash_short": """
We are sorry. The machine will be counted and the difference credited within {days} working days.
We will check the machine for the {amount} and credit what is missing within {days} working days.
""",
    "transfer_pending": """
Your transfer is being processed. It should arrive within {days} working days.
The transfer of {amount} is being processed and should arrive within {days} working days.
""",
    "transfer_failed": """
The transfer was rejected by the other bank and the money is back. Please check the name and try again.
The {amount} is back on your account because the transfer was rejected. Please check the name and try again.
""",
    "transfer_wrong_account": """
We have asked the other bank to return the money. This takes up to {days} working days and needs the receiver's consent.
We have asked for the {amount} to be returned. This takes up to {days} working days and needs the receiver's consent.
""",
    "transfer_limit": """
You can change the daily limit in the app under Settings, Limits. It applies after {days} hours.
For a single payment of {amount} please raise the limit under Settings, Limits. It applies after {days} hours.
""",
    "fee_unknown": """
The fee is in our price list and depends on your account. We have sent you the details in the app.
The {fee} is charged as stated in our price list. We have sent you the details in the app.
""",
    "fee_refund": """
We have refunded the fee. You will see it on your account within {days} working days.
We have refunded the {amount}. You will see it on your account within {days} working days.
""",
    "charge_twice": """
We see the payment twice and have asked the shop. The second one will be returned within {days} working days.
{merchant} booked {amount} twice. The second payment will be returned within {days} working days.
""",
    "charge_unrecognised": """
We have blocked the card and opened a dispute. You will hear from us within {days} working days.
We have opened a dispute over {amount} and sent you a new card. You will hear from us within {days} working days.
""",
    "loan_apply": """
You can apply in the app with your ID and proof of income. We decide within {days} working days.
For the {product} we need your ID and proof of income. We decide within {days} working days.
""",
    "loan_status": """
Your application is being checked. You will hear from us within {days} working days.
Your application for the {product} is being checked. You will hear from us within {days} working days.
""",
    "loan_repay_early": """
You can repay early at any time. We will send you the exact sum within {days} working days.
You can repay the {product} early. We will send you the exact sum within {days} working days.
You can put {amount} into the loan at any time. The new plan comes within {days} working days.
""",
    "loan_overdue": """
Thank you for telling us. We can move the payment by {days} weeks; please confirm in the app.
We can move the next payment of your {product} by {days} weeks; please confirm in the app.
""",
    "login_blocked": """
We have unlocked your access. Please wait {days} minutes and log in again.
Your access to the {channel} is unlocked. Please wait {days} minutes and log in again.
""",
    "password_reset": """
Please choose Forgot password on the login page. The link is valid for {days} hours.
To set a new password for the {channel}, choose Forgot password. The link is valid for {days} hours.
""",
    "device_change": """
Please log in on the new device and confirm with your ID and a code. The old one is removed after {days} hours.
Please log in on the {device} and confirm with your ID and a code. The old one is removed after {days} hours.
""",
    "statement_request": """
We have put the document into your inbox in the app. A paper copy takes {days} working days.
The statement for {date} is in your inbox in the app. A paper copy takes {days} working days.
""",
    "account_close": """
We are sorry to see you go. Please move the balance and sign the form; the account is closed after {days} working days.
Your {product} will be closed {days} working days after you sign the form in the app.
""",
    "exchange_rate": """
The rate of the day is shown in the app under Exchange. Card payments use the rate of the booking day.
You can buy {currency} in the app at the rate of the day. Cash takes {days} working days to order.
""",
}

REPLY_CONTACT = "We will call you on {value}."

COMPLAINT_OPENERS = """
I am filing a complaint about Finelake Bank.
This is a formal complaint.
I have written {n} times and got no proper answer.
I am very unhappy with how my case has been handled.
My branch told me to use this form.
"""

COMPLAINT_STORY = """
I called the {channel} on {date} and was sent from one person to the next.
The first agent promised a call within {duration}, and nobody called.
I was told that {org} is to blame, which is not true.
I have kept all letters since {date}.
It has cost me {amount} so far, not counting my time.
I had to take a day off to go to the {channel} in {city}.
Every answer I got was a copy of the one before.
They closed my case on {date} without asking me.
The person at the counter was polite but could not do anything.
I sent the papers to {city} twice.
I was put on hold for an hour and then cut off.
My neighbour had the same trouble with {org} and it took {duration} there.
I waited {duration} for a letter that said nothing.
The {product} was sold to me as simple and safe.
"""

COMPLAINT_CLOSERS = """
I expect a written answer by {date}.
I ask for {amount} as compensation.
If nothing happens I will go to the ombudsman.
Please treat this as urgent.
I want somebody to take responsibility.
"""

COMPLAINT_UPDATE = "Update: the bank wrote to me again, and (the matter is still open|I do not agree with the answer)."
RESPONSES = ["Closed with explanation", "Closed with monetary relief", "Closed with non-monetary relief", "In progress"]

NOTES = """
(Kitchen|Bathroom|Roof) renovation (at home|of our flat) in {city}, (quote|offer) from {org} for {amount}.
Buying a used car (from a dealer|privately) in {city}, price {amount}, (trade-in of the old one|no trade-in).
Paying off a {product} and (two|three) store cards, about {amount} together.
Tuition at {org} for {duration}, (first|last) part {amount}.
(Wedding|Family celebration) in {city} on {date}, (around|up to) {amount}.
Stock for my (shop|stall|small restaurant) in {city}, pays back within {duration}.
Medical treatment in {city}, {org} covers part, the rest is {amount}.
Moving from {city} to another town on {date}, deposit and movers {amount}.
New {device} and furniture for working from home, {amount} over {duration}.
Bridge money until my {sala} of {date}, {amount} is enough.
Machine for the workshop, ordered from {merchant}, delivery in {duration}.
Flat of {n} square metres in {city}, own money {amount}, notary on {date}.
"""

NOTE_TAILS = """
Can repay sooner.
Prefer a fixed rate.
My partner will sign as well.
Salary goes to this bank since {date}.
Please decide by {date}.
No other debts at {org}.
Term of {duration} would suit me.
Papers were left at the branch in {city}.
"""
