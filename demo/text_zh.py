"""Chinese texts of the bank, as data. The notation is that of `text_en`."""

# ruff: noqa: E501 (one template per line)

SCENES = {
    "card_lost": """
我的{cardtype}(找不到了|不见了)，(可能|应该)是在{city}弄丢的，(麻烦帮我挂失|请先冻结)。
{cardtype}(丢了|掉了)，不是被人偷的，是我自己(不小心|粗心)。
{date}还用过{cardtype}，现在(怎么也|翻遍家里也)找不到。
我把{cardtype}落在{merchant}了，回去问说没看到。
出租车上把{cardtype}(弄丢|弄没)了，怎么挂失？
卡早就收到了，可是{cardtype}被我(弄丢|搞丢)了。
孩子拿着{cardtype}玩，(结果不知道放哪了|现在全家都找不着)。
搬家以后{cardtype}就没了影子，没有发现被盗刷。
在{merchant}付完钱以后{cardtype}就(没再见过|不知去向)。
钱包找回来了，里面的{cardtype}却没有。
+ {cardtype}(估计掉进河里了|可能顺着口袋滑出去了)，我先来报备一下。
+ 出门一趟{cardtype}就(没影儿了|下落不明)，捡到的人也没联系我。
+ 迷迷糊糊把{cardtype}忘在{city}的公交座位上。
""",
    "card_stolen": """
我的{cardtype}在{city}被(偷|抢)了，(请马上停用|赶快冻结)。
小偷拿走了我的{cardtype}，不是我弄丢的。
{date}家里(进贼|被撬)，{cardtype}也没了。
有人从我包里把{cardtype}(拿走|顺走)了，我已经报警。
钱包在{merchant}附近被(抢走|扒走)，{cardtype}在里面。
寄来的{cardtype}到了信箱，但是信箱被撬开，卡被人拿走。
我亲眼看着那个人拿着我的{cardtype}跑了。
{cardtype}遭窃，{org}让我通知银行。
车窗被砸，放在车里的{cardtype}(被拿走|没了)。
地铁上遇到扒手，{cardtype}(丢了|没了)。
+ 酒店房间被人(翻过|洗劫)，{cardtype}一起没了。
+ 两个骑摩托的把我的包(拽走|扯走)，{cardtype}在包里。
+ 同事(偷偷|趁我不在)拿了我的{cardtype}，{org}已立案。
""",
    "card_not_arrived": """
申请的{cardtype}已经{duration}了还没(收到|寄到)。
{date}就说{cardtype}寄出，(到现在没有|信箱里什么都没有)。
我的卡不是丢了，是{cardtype}一直没寄来。
新的{cardtype}什么时候能到？等了{duration}。
密码信到了，{cardtype}却没到。
补办的{cardtype}(还没到手|迟迟不来)，已经{duration}。
旧卡{date}到期，新的{cardtype}没有收到。
{channel}显示{cardtype}已激活，可我从来没拿到过。
你们说{date}之前{cardtype}会到，(结果没有|没见到)。
{cardtype}寄到{city}要多久？我等了{duration}。
+ 快递员天天来，就是没有我的{cardtype}。
+ {cardtype}是不是(卡在路上|寄错地方)了？我搬到{city}了。
+ 盼了{duration}，{cardtype}连个影子都没有，能查下物流吗？
""",
    "card_declined": """
在{merchant}付款时{cardtype}(被拒|刷不了)，余额是够的。
{cardtype}在{merchant}刷了两次都不成功，卡在我手上。
为什么我的{cardtype}不能(付款|支付){amount}？
网上买东西，{merchant}不接受我的{cardtype}。
人在{city}，{cardtype}哪里都用不了，卡没丢。
新的{cardtype}收到并激活了，可是(刷卡失败|用不了)。
从{date}开始每笔{pos}都(失败|被拒绝)。
收银员说我的{cardtype}无效，可是没有过期。
{cardtype}没有被冻结，却付不了{amount}。
在{merchant}结账{cardtype}(出错|没反应)，很尴尬。
+ (贴了三次|挥卡好几回)，{merchant}的机器就是亮红灯。
+ {merchant}的机器提示不予承兑，我只好(付现金|让朋友付)。
+ 店员把{cardtype}还给我，说(过不去|通不过)。
""",
    "card_swallowed": """
{channel}(吞了|吃了)我的{cardtype}。
{date}在{city}，{channel}没把{cardtype}退出来。
取完钱{cardtype}(卡在|留在){channel}里了。
{cardtype}插进{channel}就出不来了。
钱出来了，{cardtype}没出来。
{cardtype}没丢也没被偷，是被{channel}(扣下|收走)了。
密码输错了，{channel}把{cardtype}没收了。
怎么从{channel}拿回我的{cardtype}？
{channel}突然黑屏，{cardtype}还在里面。
{merchant}门口的{channel}不还我的{cardtype}。
+ 忘了拔，{cardtype}又被{channel}(吸|收)回去了。
+ 停电的时候{cardtype}正在{channel}里，现在(锁在里面|取不出)。
+ 插卡口死活不松口，{cardtype}拿不回来。
""",
    "cash_short": """
在{channel}取{amount}，(出来的钱不够|少给了钱)。
{channel}没吐钱，{amount}却扣了。
{date}的{cwdl}，账上扣了{amount}，我没拿到现金。
{channel}只给了我一部分，应该是{amount}。
在{city}取款，机器少出了几张。
{cdpt}{amount}，(机器少算|入账少)了一张。
卡退出来了，{amount}没有出来。
存了{amount}进{channel}，到账金额不对。
{cwdl}的回单和我手里的钱对不上。
取款失败，{amount}没退回来。
+ {channel}的出钞口(没开|空空的)，余额却少了{amount}。
+ 数了两遍，{amount}里(缺了两张|有缺)。
+ 还没来得及拿，{amount}就被{channel}收回去了，账上没补。
""",
    "transfer_pending": """
{date}的{dmct}{amount}还没(到账|到)，显示处理中。
给{org}转了{amount}，{duration}了对方还没收到。
{dmct}没有失败，一直(处理中|卡着)。
钱扣了，收款人说没到，账号没错。
{xbct}一般多久到？我等了{duration}。
{channel}里这笔{dmct}从{date}起就(在途|未完成)。
{org}说已付款，{rcdt}{amount}还没看到。
{sala}应该{date}到，现在还没有。
{xbct}到{city}，银行受理了但对方没入账。
{amount}既没退回来，也没到对方那里。
+ {amount}(悬在半空|不上不下)好几天，收款方老催我。
+ 状态转圈转了{duration}，{dmct}到底走到哪了？
+ 对方天天问钱在哪，我这边只写着已发出。
""",
    "transfer_failed": """
{date}的{dmct}{amount}(失败了|被拒绝)。
给{org}转{amount}，{channel}(报错|提示不能转)。
{dmct}被退回来了，(为什么|什么原因)？
这笔{dmct}不是处理中，是(被取消|不成功)。
每次做{xbct}到最后一步就(中断|退出)。
{stdo}到{date}没有执行，账户里有钱。
账号都对，{dmct}还是(转不出去|不成功)。
收到短信说{dmct}未成功，{amount}退回。
{rrtn}{amount}，说明给{org}的款没付成。
{channel}拒绝了我给{org}的{dmct}。
+ 点发送就(跳红叉|弹错误码)，{amount}怎么都出不去。
+ 房租{date}被打回来，房东生气了。
+ 试了三次，{amount}三次都(打回|被系统丢掉)。
""",
    "transfer_wrong_account": """
我把{amount}转错(人|账户)了。
账号输错一位，{dmct}{amount}到了别人那里，(能追回吗|请帮我撤回)。
{dmct}成功了，可是收款人(选错|不对)。
应该给{org}的{amount}转给了陌生人。
在{channel}里点错联系人，{amount}转走了。
请帮我撤回{date}的{xbct}，收款账号错了。
把房租{amount}误转给了以前的房东。
{dmct}没失败，是到了错误的账户。
写错收款人了，{amount}怎么要回来？
两个收款人搞混了，{org}没收到，别人收到了。
+ 手一滑，{amount}(飞到前任|进了不相干的人)那里去了。
+ 用了{org}的旧账号，{amount}被不认识的人拿着。
+ 有没有办法让收到{amount}的那个人(还回来|退给我)？他跟我没关系。
""",
    "transfer_limit": """
想转{amount}，(提示超过限额|额度不够)。
请把我的{dmct}限额(提高|调到){amount}。
{channel}一天最多能转多少？
{channel}说今天(不能再转|已达上限)。
要付房款{amount}，一次转不了怎么办？
{xbct}的最高额度是多少？
我想把每日限额(降低|调低)到{amount}。
{amount}能一次{dmct}吗，还是要分几次？
{date}我的{product}限额被改了，想改回来。
{duration}内需要更高的{dmct}额度。
+ 一天只让(动|出)这么点钱太少了，{org}要我一次付{amount}。
+ 能不能把往外付的上限放宽(一些|几天)？
+ 为了安全，每天最多让我出{amount}就好。
""",
    "fee_unknown": """
账上有一笔{fee}{amount}，不知道(是什么|为什么收)。
为什么{date}收了我{fee}？
请解释一下对账单上的{fees}{amount}。
我不是要退，就想知道{fee}是什么。
每个月扣{amount}的{fee}，从哪来的？
说好{product}不要钱，这个{fee}是什么？
{xbct}以后又扣了{amount}，是哪种费用？
{fee}是怎么(算|计算)的？
在{city}刷了{cardtype}，多出一笔{fee}，正常吗？
{channel}里显示的{fee}{amount}看不懂。
+ 价目表里没写，{fee}{amount}(凭什么|依据什么)？
+ 莫名冒出一笔{amount}，麻烦(说明|讲清楚)下来由。
+ 不生气，只是好奇，{fee}按哪条规定收的？
""",
    "fee_refund": """
请(退还|退回){fee}{amount}。
{fee}收错了，我要(退钱|退款)。
{date}的{fee}是你们的错，请(冲回|退掉)。
能不能(减免|免掉)我{product}的{fee}？
我知道{fee}是什么，但不该收我的，请退。
答应退我的{fee}，{duration}了还没到。
{fee}收了两次，请退一次。
因为你们{dmct}晚到，我被收{fee}，请你们承担。
{channel}的工作人员同意退{fee}，一直没退。
老客户了，{fee}{amount}(免了吧|能退吗)？
+ 麻烦把{amount}(还给我|补回来)，{fee}不是我造成的。
+ 这回的{fee}就(高抬贵手|算了)吧。
+ {channel}那天瘫痪，{fee}{amount}理应(抹掉|赔给我)。
""",
    "charge_twice": """
{merchant}同一笔{pos}{amount}扣了两次。
{date}我只买了一次，{amount}却(扣了两笔|有两笔)。
{cardtype}在{merchant}被重复扣款。
同一笔{pmdd}{amount}这个月扣了两回。
刷卡失败我付了现金，结果{amount}又从卡上扣了。
商户我认识，就是{amount}多扣了一次。
第一次{pos}被拒，第二次成功，两笔都扣了。
{merchant}退货没退钱，反而又扣{amount}。
给{org}的{stdo}{date}执行了两次。
一笔消费两条记录，都是{amount}，请核对。
+ 吃一顿饭付两顿的钱，{merchant}多收{amount}。
+ 第二天又冒出一笔一模一样的{amount}。
+ 时间金额完全相同，{merchant}(是不是刷重了|怎么来了两遍)？
""",
    "charge_unrecognised": """
{merchant}有一笔{amount}不是我(刷|消费)的。
{date}的{pos}{amount}我不认识。
卡在我手里，却有人(盗刷|用)了{amount}。
我从没去过{merchant}，怎么扣了{amount}？
{org}扣了{pmdd}{amount}，我跟他们没有合同。
有一笔{city}的{xbcw}，那天我在家。
谁扣了我{amount}？我没有授权。
这个商户没听过，{amount}请查一下。
{date}起有好几笔不是我本人的交易。
{cardtype}没丢，钱却在{city}被花掉。
+ {merchant}是什么店？{amount}(跟我无关|我不认)。
+ 我睡觉的时候{amount}在{city}花出去了。
+ 怀疑卡被复制，有人拿我的钱(购物|潇洒)。
""",
    "loan_apply": """
我想(申请|办){product}{amount}。
办{product}需要什么(材料|条件)？
想借{amount}，{duration}还清，可以吗？
收入不高能贷{amount}吗？
学生可以申请{product}吗？
{product}在{channel}还是{channel}申请？
我还没有贷款，想(了解|办理){product}。
在{city}买房，需要向银行借{amount}。
{product}{amount}每个月还多少？
{org}拒绝了我，你们能贷{amount}吗？
+ 家里装修(缺|差){amount}，你们能(支持|帮)一下吗？
+ 以我的{sala}，(够格|有希望)拿到{amount}吗？
+ 第一次想跟银行借钱，从哪一步开始？
""",
    "loan_status": """
{date}申请的{product}没有消息。
{product}审批到哪一步了？
材料{duration}前交了，批了吗？
{product}批了，但是{ddwn}还没到。
审核{amount}的申请要多久？
补的材料你们收到了吗？{product}
{channel}显示申请审核中，从{date}到现在。
不是要再申请，只想知道{product}有没有通过。
{date}申请的{amount}能批吗？
说好{date}{ddwn}，没有到。
+ 卖家催我，{amount}到底(行不行|批不批)？
+ 合同签了{duration}，账上还是零。
+ 我交上去的那份，有人看过了吗？
""",
    "loan_repay_early": """
我想提前(还清|还掉){product}。
贷款没到期，能先还{amount}吗？
{product}一次性还清要多少钱？
手头多了{amount}，想多还一次{ppay}。
{date}全部还清的话还欠多少？
提前{duration}结清贷款有{fee}吗？
没有逾期，我是想多还一些。
请告诉我{product}结清的金额。
车卖了，想把{product}结掉。
多还{amount}能缩短{duration}吗？
+ 发了奖金，{amount}想直接(砸进|冲掉){product}。
+ 想早点无债一身轻，{product}剩下的怎么(一把了结|全付掉)？
+ 一次放进去{amount}，月供会降吗？
""",
    "loan_overdue": """
这个月{product}还不上了。
{date}的{ppay}没还，(会怎样|怎么办)？
收到{product}催收短信，我现在没钱。
失业了，{product}还款有困难。
{product}能不能延期{duration}？
{sala}晚发，{ppay}{amount}要晚几天。
贷款逾期{duration}了，想(协商|商量)一下。
请把{ppay}的日子往后(推|挪)。
余额不足，{product}的{pmdd}没扣成。
因为晚还收了{fee}，我认，接下来怎么补？
+ 日子紧，{product}(压得喘不过气|太重了)，能缓缓吗？
+ 忙忘了{date}那期，会上征信吗？
+ 要先养家，{product}得等{duration}。
""",
    "login_blocked": """
{channel}登录不了，说我的账户被锁。
密码输错几次被锁了，现在我记得密码。
密码是对的，{channel}不让我进。
请帮我解锁，{date}起登不上。
输入验证码还是(登不进去|被踢出来)。
没忘密码，就是登录(失败|不成功)。
更新以后{device}上登不了{channel}。
为什么停用我的登录权限？
登录页提示联系银行，手机没换。
收不到登录验证码，进不去。
+ 刷脸过了，又说我的用户(暂停|未启用)。
+ {channel}把我(拒之门外|关在外面)，口令没问题。
+ 说我试太多次，要(等多久|关多久)？
""",
    "password_reset": """
忘记{channel}密码了。
怎么(改|修改){channel}密码？
密码记不起来，怎么重新设？
重置密码的邮件收不到。
没有被锁，只是要个新密码。
重设密码的链接过期了，{date}收到的。
家人看到我的密码，想换一个。
{cardtype}的取款密码忘了，想重设。
设新密码总说太简单。
记密码的纸丢了，怎么办？
+ 脑子一片空白，{channel}那串字符想不起来。
+ {cardtype}那六位数(从脑子里没了|死活想不出)。
+ 休假回来不知道当时设的什么，想弄个新的。
""",
    "device_change": """
换了{device}，怎么用{channel}？
{channel}怎么从旧手机移到{device}？
旧手机被偷了，要在{device}上用{channel}。
换了手机号，验证码还发到旧的。
请把旧的{device}从{channel}删掉。
{device}卖了，怎么解绑？
{channel}说{device}未登记。
能在手机和{device}两台上用{channel}吗？
手机摔坏了，要绑定{device}。
确认消息发到我已经没有的手机上。
+ 密码没问题，{channel}(不认|不认识)我的{device}。
+ 旧的那台(报废|进水)了，新{device}怎么接上？
+ 安全提示老跳到我送人的那台，改到{device}。
""",
    "statement_request": """
要一份{date}的对账单给{org}。
请发最近{duration}的流水。
{channel}里怎么下载明细？
{org}要我{sala}的证明，能盖章吗？
办签证要存款证明，英文的。
{channel}里少了{date}的账单。
想要纸质账单，不要{channel}里的。
报税要{product}的利息证明。
请开一份{date}付给{org}{amount}的凭证。
账单在{channel}打不开，请发给我。
+ 会计要{duration}的书面材料，去哪(拉|弄)？
+ 房东要看我账上有多少，要白纸黑字。
+ 能出一封信说明我在你们这里开户吗？
""",
    "account_close": """
我想(注销|销掉){product}。
请在{date}把我的账户销掉。
怎么销户？我要换到{org}。
{accc}以后余额怎么办？
{duration}前申请{accc}，账户还在扣费。
{product}不用了，请取消。
离开{city}了，账户不要了。
父亲去世，要注销他的账户。
不是要新卡，是整个账户不要了。
{accc}要{fee}吗？
+ 以后不做你们客户了，(手续怎么走|签什么)？
+ 我在你们这的东西{date}前全部(清掉|结束)。
+ 余下的打给{org}，{product}给我撤了。
""",
    "exchange_rate": """
今天{currency}的汇率是多少？
{city}那笔{pos}按什么汇率算的？
想用{amount}换{currency}，能换多少？
{xbct}的汇率比{channel}里的差。
{channel}能取{currency}现钞吗？
{channel}怎么买{currency}？
旅行剩的{currency}可以换回来吗？
{date}的{forx}汇率为什么这么低？
在{city}花了{amount}，折成{currency}对不上，怎么算的？
{product}里能放{currency}吗？
+ {amount}现在(到手|折合)多少{currency}？
+ 要出国，在这里换还是到{city}换划算？
+ {city}那张单子换算得有点贵，看的谁的牌价？
""",
}

OPENERS = """
你好，
您好，
请问，
麻烦问一下，
客服你好，
在吗？
急！
你们好，
早上好，
打扰了，
想咨询一下，
又来打扰了，
"""

CLOSERS = """
(谢谢|多谢|谢谢了)。
请尽快(处理|回复)。
怎么办？
麻烦帮忙看看。
等你们答复，{date}前最好。
在线等。
我是{duration}的老客户了。
(很|真的)着急。
打过{channel}，没人能解决。
请书面答复我。
我在{city}出差。
辛苦了。
"""

BACKGROUND = """
以前丢过一次卡，当时很快就补好了。
之前给{org}的转账晚到过，那事已经解决。
跟{date}说的那笔费用没关系。
我的密码和手机都没问题。
没换手机，也没忘密码。
贷款我一直按时还。
上次答应退的钱已经到了。
曾经卡被偷冻结过一次，是很久以前在{city}。
{channel}跟我讲了限额和汇率，我问的不是那个。
我爱人也有{product}，挺满意的。
查过了，没有重复扣款。
我不贷款，也不销户。
{date}要的流水已经收到。
那周我在{city}换过{currency}。
{sala}每个月都发到这里。
开始以为是机器吞卡，其实不是。
朋友说他的转账失败了，我的没事。
{channel}的同事以为是陌生交易，不是的。
{date}在{channel}取过{amount}，没问题。
给{org}的{stdo}一直正常。
之前登录被锁过，你们已经解开。
不是来要退费的。
我有{cardtype}和{product}，用了{duration}。
以前申请过贷款，批下来了。
那天在{merchant}的{pos}是成功的。
新卡{date}已经寄到了。
我弟弟转错过账，所以我特别小心。
"""

CONTACT = {
    "phone": """
我的手机号是{value}请尽快联系我。
电话{value}随时可以打。
请拨打{value}找我。
联系方式{value}没有变。
手机{value}，下班后打。
""",
    "email": """
请发到{value}谢谢。
邮箱{value}可以收文件。
邮件地址是{value}。
""",
    "resident_id": """
身份证号{value}请核对。
我的身份证是{value}没有错。
证件号码{value}。
""",
    "card": """
卡号{value}请查一下。
卡号是{value}。
尾号不记得，完整卡号{value}在这里。
""",
}

TRAPS = {
    "order_11": "订单号是{value}。|回单编号{value}。",
    "order_long": "交易流水号{value}。|凭证上写的流水{value}。",
    "id_invalid": "合同编号{value}。|通知书编号{value}。",
    "card_invalid": "快递单号{value}。|兑换码{value}。",
    "amount": "单子上的总额是{value}。|合计{value}。",
    "date": "小票日期{value}。|入账日是{value}。",
}

SLOTS = {
    "cardtype": (
        "CARD_TYPE",
        ["借记卡", "信用卡", "白金卡", "金卡信用卡", "预付卡", "虚拟卡", "银联卡", "学生卡", "公务卡", "旅行卡"],
    ),
    "channel": (
        "CHANNEL",
        ["手机银行", "网点", "自动取款机", "客服热线", "网上银行", "柜台", "微信公众号", "在线客服", "网页端"],
    ),
    "atm": ("CHANNEL", ["自动取款机", "取款机", "自助终端", "ATM", "存取款一体机"]),
    "digital": ("CHANNEL", ["手机银行", "网上银行", "网页端", "银行APP", "微信公众号"]),
    "merchant": (
        "MERCHANT",
        [
            "蓝鹭超市",
            "北门书店",
            "红叶药房",
            "晴天面馆",
            "潮水酒店",
            "西风鞋店",
            "绿灯咖啡",
            "像素游戏厅",
            "港湾加油站",
            "鸵鸟户外",
            "天鹅绒影院",
            "铜锅厨房",
            "双河商场",
        ],
    ),
    "city": (
        "CITY",
        [
            "杭州",
            "上海",
            "成都",
            "武汉",
            "深圳",
            "伦敦",
            "新加坡",
            "南京",
            "厦门",
            "多伦多",
            "柏林",
            "大阪",
            "苏州",
            "昆明",
        ],
    ),
    "currency": ("CURRENCY", ["欧元", "美元", "日元", "英镑", "瑞士法郎", "港币", "韩元", "泰铢"]),
    "fee": ("FEE", ["年费", "账户管理费", "滞纳金", "境外交易费", "手续费", "透支费", "小额账户费", "补卡费"]),
    "device": (
        "DEVICE",
        ["平板电脑", "苹果手机", "华为Mate50", "笔记本电脑", "小米12", "工作手机", "安卓手机", "折叠屏手机"],
    ),
    "org": (
        "ORGANISATION",
        [
            "税务局",
            "港湾信用社",
            "自来水公司",
            "公积金中心",
            "兰花保险",
            "北方电力",
            "派出所",
            "湖畔大学",
            "松树通信",
            "明亮工具公司",
        ],
    ),
    "product": (
        "PRODUCT",
        ["日日存", "湖景房贷", "快捷贷", "银账户", "车贷通", "学生账户", "灵活贷", "家庭账户", "绿色装修贷"],
    ),
    "loan": ("PRODUCT", ["湖景房贷", "快捷贷", "车贷通", "绿色装修贷", "灵活贷", "消费贷款", "住房贷款", "助学贷款"]),
    "account": ("PRODUCT", ["日日存", "银账户", "学生账户", "家庭账户", "活期账户", "联名账户", "定期存款"]),
}

DURATIONS = ["{n}天", "{n}周", "{n}个月", "{n}个工作日", "大约{n}天", "{n}个多星期"]
AMOUNTS = ["{v}元", "¥{v}", "人民币{v}元", "{v}块", "{v}块钱", "{v}元"]
MONTHS = ["1月", "2月", "3月", "4月", "5月", "6月", "7月", "8月", "9月", "10月", "11月", "12月"]
DATES = ["{m}月{d}日", "{m}月{d}号", "{y}年{m}月{d}日", "{y}-{m:02d}-{d:02d}", "{y}年{m}月"]

TERMS = {
    "pos": ["刷卡消费", "消费", "刷卡付款", "购物付款"],
    "cwdl": ["取现", "现金取款"],
    "xbcw": ["境外取现", "境外取款"],
    "dmct": ["转账", "汇款", "行内转账"],
    "xbct": ["跨境汇款", "境外汇款", "国际汇款"],
    "stdo": ["定期转账", "约定转账"],
    "rcdt": ["来账", "入账汇款"],
    "sala": ["工资", "薪水", "代发工资"],
    "pmdd": ["自动扣款", "代扣"],
    "rrtn": ["退汇", "汇款退回"],
    "fees": ["扣费", "收费记录"],
    "ddwn": ["放款", "贷款发放"],
    "ppay": ["分期还款", "月供", "本金还款"],
    "accc": ["销户", "账户注销"],
    "forx": ["结售汇", "外汇兑换"],
    "cdpt": ["现金存款", "存现"],
}

REPLIES = {
    "card_lost": """
已为您挂失并补办新卡，{days}个工作日内寄到。
您的{cardtype}已挂失，新卡{days}个工作日内寄到。
""",
    "card_stolen": """
已冻结被盗的卡，请报警并在{days}天内把回执发给我们。
您的{cardtype}已冻结，请核对交易并在{days}天内提供报警回执。
""",
    "card_not_arrived": """
抱歉卡片没有寄到，已重新寄出，请等待{days}个工作日。
原{cardtype}已作废，新卡已寄出，请等待{days}个工作日。
""",
    "card_declined": """
您的卡状态正常，交易被风控拦截，请{days}分钟后再试。
{amount}的交易被风控拦截，请在手机银行确认后再试。
{merchant}的终端没有连上我们，卡片正常，请再试一次。
""",
    "card_swallowed": """
卡片已由机器保管，请{days}个工作日内带身份证到网点领取。
您的{cardtype}将从机器取出，{days}个工作日后可到网点领取。
""",
    "cash_short": """
非常抱歉，我们会清点机器，差额{days}个工作日内入账。
我们会核对这笔{amount}，差额{days}个工作日内入账。
""",
    "transfer_pending": """
您的转账正在处理，预计{days}个工作日内到账。
{amount}的转账正在处理，预计{days}个工作日内到账。
""",
    "transfer_failed": """
转账被对方银行退回，资金已退还，请核对户名后再试。
{amount}已退回您的账户，请核对户名后再试。
""",
    "transfer_wrong_account": """
已联系对方银行退款，需收款人同意，最长{days}个工作日。
已申请追回{amount}，需收款人同意，最长{days}个工作日。
""",
    "transfer_limit": """
请在手机银行的设置里调整限额，{days}小时后生效。
要一次转{amount}，请在设置里提高限额，{days}小时后生效。
""",
    "fee_unknown": """
该费用见我行价目表，与账户类型有关，明细已发到手机银行。
{fee}按价目表收取，明细已发到手机银行。
""",
    "fee_refund": """
费用已退，{days}个工作日内到账。
{amount}已退，{days}个工作日内到账。
""",
    "charge_twice": """
确实扣了两次，已联系商户，多扣的{days}个工作日内退回。
{merchant}重复扣款{amount}，多扣的{days}个工作日内退回。
""",
    "charge_unrecognised": """
卡片已冻结并登记争议，{days}个工作日内给您答复。
{amount}的交易已登记争议，新卡已寄出，{days}个工作日内给您答复。
""",
    "loan_apply": """
请带身份证和收入证明在手机银行申请，{days}个工作日内审批。
办理{product}需要身份证和收入证明，{days}个工作日内审批。
""",
    "loan_status": """
您的申请正在审核，{days}个工作日内通知您。
您的{product}申请正在审核，{days}个工作日内通知您。
""",
    "loan_repay_early": """
可以随时提前还款，{days}个工作日内把结清金额发给您。
{product}可以提前还款，{days}个工作日内把结清金额发给您。
{amount}可以随时还入，新计划{days}个工作日内发给您。
""",
    "loan_overdue": """
感谢告知，可延期{days}周，请在手机银行确认。
您的{product}下一期可延期{days}周，请在手机银行确认。
""",
    "login_blocked": """
已为您解锁，请{days}分钟后重新登录。
{channel}已解锁，请{days}分钟后重新登录。
""",
    "password_reset": """
请在登录页选择忘记密码，链接{days}小时内有效。
请在{channel}登录页选择忘记密码，链接{days}小时内有效。
""",
    "device_change": """
请在新设备登录并验证身份，旧设备{days}小时后解绑。
请在{device}上登录并验证身份，旧设备{days}小时后解绑。
""",
    "statement_request": """
文件已发到手机银行收件箱，纸质版需{days}个工作日。
{date}的账单已发到手机银行收件箱，纸质版需{days}个工作日。
""",
    "account_close": """
请转出余额并签署申请，{days}个工作日后销户。
签署申请后{days}个工作日注销您的{product}。
""",
    "exchange_rate": """
当日汇率见手机银行的外汇页面，刷卡按入账日汇率。
可在手机银行按当日汇率购买{currency}，现钞需提前{days}个工作日预约。
""",
}

REPLY_CONTACT = "我们会致电{value}与您联系。"

COMPLAINT_OPENERS = """
我要投诉精湖银行。
这是正式投诉。
写了{n}次都没有好好答复。
对你们的处理很不满意。
网点让我填这个表。
"""

COMPLAINT_STORY = """
{date}打了{channel}，被转来转去。
第一个客服答应{duration}内回电，没有人打。
他们说是{org}的问题，根本不是。
从{date}起的信我都留着。
到现在已经损失{amount}，还不算时间。
为了去{city}的{channel}请了一天假。
每次答复都一模一样。
{date}没问我就结案了。
柜台的人态度好，但什么都办不了。
材料往{city}寄了两次。
电话等了一个小时还被挂断。
邻居在{org}也遇到同样的事，拖了{duration}。
等了{duration}，来信什么也没说。
当初说{product}简单又安全。
"""

COMPLAINT_CLOSERS = """
请在{date}前书面答复。
要求赔偿{amount}。
再不处理我就找监管部门。
请当作急事处理。
希望有人负责。
"""

COMPLAINT_UPDATE = "补充：银行又来信了，(问题还没解决|我不同意这个答复)。"

NOTES = """
{city}的房子(厨房|卫生间|屋顶)装修，{org}报价{amount}。
在{city}买二手车，{amount}，(旧车置换|没有置换)。
还掉{product}和(两|三)张卡的欠款，一共{amount}。
{org}学费，{duration}，(第一|最后)期{amount}。
{date}在{city}办(婚礼|寿宴)，(大约|不超过){amount}。
{city}的(小店|摊位|餐馆)进货，{duration}能回款。
在{city}看病，{org}报一部分，自费{amount}。
{date}从{city}搬家，押金和搬运{amount}。
买{device}和家具在家办公，{amount}分{duration}。
等{date}的{sala}，周转{amount}就够。
作坊买机器，向{merchant}订货，{duration}交货。
{city}{n}平米的房子，自有资金{amount}，{date}签约。
"""

NOTE_TAILS = """
可以提前还。
希望固定利率。
爱人一起签字。
{date}起工资发到贵行。
请{date}前给结果。
在{org}没有欠款。
期限{duration}合适。
材料交到{city}网点了。
"""

HOMOPHONES = {
    "账": "帐",
    "在": "再",
    "的": "得",
    "做": "作",
    "已": "以",
    "密": "蜜",
    "转": "传",
    "收": "受",
    "还": "换",
    "请": "清",
    "卡": "咔",
    "钱": "前",
    "到": "道",
    "没": "每",
    "问": "文",
    "知": "只",
    "限": "线",
}
